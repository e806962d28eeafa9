/* The load of the bench `datapath`: flows between two namespaces, one process, so that a flow's ends can watch each other.
 *
 *   load tcp|packets|latency MILLISECONDS FLOW...     FLOW: PID ADDRESS PID ADDRESS, first whence, then whither
 *
 * Each PID holds a network namespace. Prints one number per flow: octets of TCP payload per second; datagrams per
 * second, which are frames of 64 octets; nanoseconds of the median round trip of such a datagram.
 *
 * Datagrams are sent no faster than they arrive: at most WINDOW of them are under way, which fit into any queue there.
 * A path that is overrun would measure its drops, and how it shares the processor with whoever overruns it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5001, PAYLOAD = 18, BATCH = 64, WINDOW = 448, BLOCK = 128 << 10, ROUNDS = 1 << 20 };
static const long LOST_AFTER = 20000000, PAUSE = 50000; /* ns */

struct flow {
    const char *kind;
    int from, to; /* namespaces */
    struct sockaddr_in source, sink;
    int cpu;
    atomic_long sent, arrived;
};

static atomic_int over;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000L + at.tv_nsec;
}

static void pause_for(long nanoseconds) {
    struct timespec length = {nanoseconds / 1000000000L, nanoseconds % 1000000000L};
    nanosleep(&length, NULL);
}

/* A thread's namespace is its own, so is its processor: who sends and who receives compete for none. */
static int open_socket(int namespace, int kind, const struct sockaddr_in *local, int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &one);
    sched_setaffinity(0, sizeof one, &one);
    prctl(PR_SET_TIMERSLACK, 1000);
    if (setns(namespace, CLONE_NEWNET)) fail("setns");
    int sock = socket(AF_INET, kind | SOCK_CLOEXEC, 0), yes = 1, room = 1 << 20;
    struct timeval patience = {0, 50000};
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (kind == SOCK_DGRAM) setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (bind(sock, (const struct sockaddr *)local, sizeof *local)) fail("bind");
    return sock;
}

static int connected(const struct flow *flow, int kind) {
    int sock = open_socket(flow->from, kind, &flow->source, flow->cpu);
    struct timeval patience = {5, 0};
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connect(2) keeps to it too */
    if (connect(sock, (const struct sockaddr *)&flow->sink, sizeof flow->sink)) fail("connect");
    patience = (struct timeval){0, 50000};
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return sock;
}

static void *tcp_sink(void *argument) {
    struct flow *flow = argument;
    int listening = open_socket(flow->to, SOCK_STREAM, &flow->sink, flow->cpu + 1), sock;
    if (listen(listening, 1)) fail("listen");
    atomic_store(&flow->arrived, 0);
    do sock = accept(listening, NULL, NULL);
    while (sock < 0 && !over);
    char *block = malloc(BLOCK);
    while (!over) {
        ssize_t got = recv(sock, block, BLOCK, 0);
        if (got == 0) break;
        if (got > 0) atomic_fetch_add(&flow->arrived, got);
    }
    return NULL;
}

static void *tcp_source(void *argument) {
    struct flow *flow = argument;
    int sock = connected(flow, SOCK_STREAM);
    char *block = calloc(1, BLOCK);
    while (!over)
        if (send(sock, block, BLOCK, MSG_NOSIGNAL) < 0 && errno != EAGAIN) break;
    return NULL;
}

/* Looks by the clock: to be woken for each packet would cost its sender more than to send it. */
static void *packet_sink(void *argument) {
    struct flow *flow = argument;
    int sock = open_socket(flow->to, SOCK_DGRAM, &flow->sink, flow->cpu + 1);
    static _Thread_local char octets[BATCH][PAYLOAD];
    static _Thread_local struct iovec parts[BATCH];
    static _Thread_local struct mmsghdr messages[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){octets[i], PAYLOAD};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    atomic_store(&flow->arrived, 0);
    while (!over) {
        int got = recvmmsg(sock, messages, BATCH, MSG_DONTWAIT, NULL);
        if (got > 0) atomic_fetch_add(&flow->arrived, got);
        if (got < BATCH) pause_for(PAUSE);
    }
    return NULL;
}

static void *packet_source(void *argument) {
    struct flow *flow = argument;
    int sock = connected(flow, SOCK_DGRAM);
    char octets[PAYLOAD] = {0};
    struct iovec part = {octets, PAYLOAD};
    static _Thread_local struct mmsghdr messages[BATCH];
    for (int i = 0; i < BATCH; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    long sent = 0, lost = 0, seen = 0, moved = now();
    while (!over) {
        long arrived = atomic_load(&flow->arrived);
        if (arrived != seen) seen = arrived, moved = now();
        if (sent - lost - arrived > WINDOW - BATCH) {
            pause_for(PAUSE);
            if (now() - moved > LOST_AFTER) lost = sent - arrived, moved = now(); /* what has not come by now will not */
            continue;
        }
        int went = sendmmsg(sock, messages, BATCH, 0);
        if (went > 0) sent += went;
    }
    return NULL;
}

static void *echo(void *argument) {
    struct flow *flow = argument;
    int sock = open_socket(flow->to, SOCK_DGRAM, &flow->sink, flow->cpu + 1);
    char octets[PAYLOAD];
    atomic_store(&flow->arrived, 0);
    while (!over) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        ssize_t got = recvfrom(sock, octets, sizeof octets, 0, (struct sockaddr *)&peer, &size);
        if (got > 0) sendto(sock, octets, got, 0, (struct sockaddr *)&peer, size);
    }
    return NULL;
}

static int ascending(const void *one, const void *other) {
    long a = *(const long *)one, b = *(const long *)other;
    return (a > b) - (a < b);
}

static void *asks(void *argument) {
    struct flow *flow = argument;
    int sock = connected(flow, SOCK_DGRAM), count = 0;
    char octets[PAYLOAD] = {0};
    long *taken = calloc(ROUNDS, sizeof *taken);
    while (!over && count < ROUNDS) {
        long began = now();
        send(sock, octets, sizeof octets, 0);
        if (recv(sock, octets, sizeof octets, 0) == PAYLOAD) taken[count++] = now() - began;
    }
    qsort(taken, count, sizeof *taken, ascending);
    atomic_store(&flow->sent, count ? taken[count / 2] : 0);
    return NULL;
}

static const struct {
    const char *name;
    void *(*source)(void *), *(*sink)(void *);
} KINDS[] = {{"tcp", tcp_source, tcp_sink}, {"packets", packet_source, packet_sink}, {"latency", asks, echo}};

static int namespace_of(const char *pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    int found = open(path, O_RDONLY | O_CLOEXEC);
    if (found < 0) fail(path);
    return found;
}

static struct sockaddr_in address_of(const char *text, int port) {
    struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &found.sin_addr) != 1) fail(text);
    return found;
}

int main(int count, char **words) {
    unsigned kind = 0, kinds = sizeof KINDS / sizeof *KINDS;
    while (count > 2 && kind < kinds && strcmp(words[1], KINDS[kind].name)) kind++;
    int flows = (count - 3) / 4;
    if (count < 7 || (count - 3) % 4 || kind == kinds) {
        fprintf(stderr, "load tcp|packets|latency MILLISECONDS [PID ADDRESS PID ADDRESS]...\n");
        return 2;
    }
    struct flow *all = calloc(flows, sizeof *all);
    pthread_t *threads = calloc(flows, 2 * sizeof *threads);
    for (int i = 0; i < flows; i++) {
        char **word = words + 3 + 4 * i;
        all[i] = (struct flow){.from = namespace_of(word[0]), .to = namespace_of(word[2]), .cpu = i, .arrived = -1};
        all[i].source = address_of(word[1], 0);
        all[i].sink = address_of(word[3], PORT);
        pthread_create(&threads[2 * i], NULL, KINDS[kind].sink, &all[i]);
    }
    for (int i = 0; i < flows; i++) {
        while (atomic_load(&all[i].arrived) < 0) pause_for(PAUSE); /* it listens by then */
        pthread_create(&threads[2 * i + 1], NULL, KINDS[kind].source, &all[i]);
    }
    long length = atol(words[2]) * 1000000L, before[flows];
    pause_for(length / 4); /* TCP has found its pace by then */
    long began = now();
    for (int i = 0; i < flows; i++) before[i] = atomic_load(&all[i].arrived);
    pause_for(length);
    double seconds = (now() - began) / 1e9;
    for (int i = 0; i < flows; i++) before[i] = atomic_load(&all[i].arrived) - before[i];
    atomic_store(&over, 1);
    for (int i = 0; i < 2 * flows; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < flows; i++)
        printf("%.0f\n", strcmp(words[1], "latency") ? before[i] / seconds : (double)atomic_load(&all[i].sent));
    return 0;
}
