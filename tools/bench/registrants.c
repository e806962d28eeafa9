/* The load of the benches `registrations` and `scale`: the sessions of many mobile nodes behind one foreign agent.
 *
 *   registrants AGENT PORT CARE_OF EACH SESSIONS OUTSTANDING RATE HOME SECRET PHASE...
 *
 * Sends from CARE_OF to AGENT for SESSIONS, EACH of them of one node, in strides, as if by chance. At most OUTSTANDING
 * requests are unanswered; RATE a second are sent, 0: as fast as answers come. HOME: the home address of session 0, whose
 * successors have the next ones; 0.0.0.0: none has one yet. SECRET: the key that the foreign agent shares with AGENT, ""
 * for none. A PHASE is
 *
 *   new:S     registers every session, and again, deregistered meanwhile and untimed, until that has taken S seconds
 *   renew:S   renews one session after another for S seconds, or until SIGTERM
 *   echo:S    the same, at a server that sends back what it gets
 *
 * and prints one JSON object when it is over. Latencies are microseconds from when a request was due, which with a RATE
 * is not when it could be sent: a server that stands still makes all late that came meanwhile. Every reply's code and
 * authenticator is checked. What stays unanswered for a second is asked again, with a new Identification.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "registration.h"

enum { LIFETIME = 1800, BATCH = 64, MOST_SLOTS = 4096, MOST_US = 1 << 24, STRIDE = 7919, ARGUMENTS = 10 };
static const int64_t SECOND = 1000000000, LOOK_AGAIN = 100000000; /* ns */

struct slot { /* for a request that waits for its reply */
    int64_t due, sent;
    uint32_t session, low;
    bool waits;
};

struct pass { /* each of `left` sessions asks once, while it is not `end` yet */
    uint16_t lifetime;
    bool echo, timed;
    int64_t left, end, next; /* next: when a request is due */
};

static struct {
    int64_t answers, resent, denied, bad;
    int code; /* of the last denial */
    uint32_t took[MOST_US];
} seen;

static struct session *sessions;
static bool *asking; /* by session */
static struct slot slots[MOST_SLOTS];
static uint32_t agent, care_of, count, outstanding, waiting;
static double rate;
static struct key shared, *foreign; /* the agent's, if it has one */
static int sock;
static volatile sig_atomic_t stopped;
static uint8_t octets[BATCH][LARGEST];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void fail(const char *what) {
    fprintf(stderr, "registrants: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static void take(const struct pass *pass, const uint8_t *reply, size_t size) {
    if (size < REQUEST_LOW + 4 || reply[0] != (pass->echo ? REQUEST : REPLY)) {
        seen.bad++;
        return;
    }
    uint32_t low = low_half(reply, pass->echo ? REQUEST_LOW : REPLY_LOW);
    struct slot *slot = &slots[(low & 0xffff) % MOST_SLOTS];
    struct session *session = &sessions[slot->session];
    if (!slot->waits || slot->low != low) return; /* it has been asked again since */
    if (!pass->echo && !authentic(reply, size, session->key, pass->lifetime ? foreign : NULL)) {
        seen.bad++;
        return;
    }
    if (!pass->echo && reply[1] > 1) {
        seen.denied++, seen.code = reply[1];
    } else if (!pass->echo) {
        memcpy(&session->home, reply + REPLY_HOME, sizeof session->home);
        if (!pass->lifetime) session->home = 0;
    }
    slot->waits = asking[slot->session] = false;
    waiting--;
    if (pass->timed) {
        int64_t took = (now() - slot->due) / 1000;
        seen.took[took < MOST_US ? took : MOST_US - 1]++;
        seen.answers++;
    }
}

/* Without a rate nothing is due before a reply comes: then it waits for one. */
static bool collect(const struct pass *pass) {
    for (int i = 0; i < BATCH; i++) parts[i].iov_len = LARGEST;
    int got = recvmmsg(sock, messages, BATCH, rate ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
    if (got < 0 && errno != EAGAIN && errno != EINTR) fail("receive");
    for (int i = 0; i < got; i++) take(pass, octets[i], messages[i].msg_len);
    return got > 0;
}

/* Ask again what has waited too long, and ask what is due; no more than a batch. */
static void ask(struct pass *pass) {
    static uint32_t turn, successor; /* both go round */
    int64_t at = now();
    int filled = 0;
    for (uint32_t looked = 0; looked < outstanding && filled < BATCH; looked++) {
        struct slot *slot = &slots[turn = (turn + 1) % outstanding];
        if (slot->waits) {
            if (at - slot->sent < SECOND) continue;
            seen.resent++;
        } else {
            if (!pass->left || (rate && pass->next > at)) continue;
            while (asking[successor]) successor = (successor + STRIDE) % count;
            *slot = (struct slot){.due = rate ? pass->next : at, .session = successor, .waits = true};
            asking[successor] = true;
            if (rate) pass->next += SECOND / rate;
            pass->left--, waiting++;
            successor = (successor + STRIDE) % count;
        }
        struct session *session = &sessions[slot->session];
        slot->sent = at;
        uint8_t *request = octets[filled];
        uint16_t mark = slot - slots;
        parts[filled].iov_len = write_request(session, agent, care_of, pass->lifetime, mark, foreign, request);
        slot->low = session->identification & 0xffffffff;
        filled++;
    }
    for (int sent = 0, went; sent < filled; sent += went)
        if ((went = sendmmsg(sock, messages + sent, filled - sent, 0)) < 0) fail("send");
}

/* Nanoseconds until the last reply has come. */
static int64_t run(struct pass pass) {
    int64_t began = pass.next = now();
    while (pass.left || waiting) {
        if (stopped || now() >= pass.end) pass.left = 0;
        ask(&pass);
        if (collect(&pass) || !rate) continue;
        int64_t idle = pass.left && waiting < outstanding ? pass.next - now() : LOOK_AGAIN;
        struct timespec length = {0, idle < 0 ? 0 : idle < LOOK_AGAIN ? idle : LOOK_AGAIN};
        ppoll(&(struct pollfd){sock, POLLIN, 0}, 1, &length, NULL);
    }
    return now() - began;
}

static int64_t worked(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    struct timeval user = used.ru_utime, system = used.ru_stime;
    return (user.tv_sec + system.tv_sec) * SECOND + (user.tv_usec + system.tv_usec) * 1000;
}

static int percentile(double share) {
    int64_t below = 0;
    int at = 0;
    while (at < MOST_US - 1 && (below += seen.took[at]) < share * seen.answers) at++;
    return at;
}

static void phase(const char *word) {
    const char *colon = strchr(word, ':');
    bool once = !strncmp(word, "new:", 4), echo = !strncmp(word, "echo:", 5);
    int64_t length = colon ? atof(colon + 1) * SECOND : 0, took = 0, busy = 0;
    memset(&seen, 0, sizeof seen);
    for (;;) {
        int64_t before = worked(), end = now() + length;
        struct pass timed = {LIFETIME, echo, true, once ? count : INT64_MAX, once ? INT64_MAX : end, 0};
        took += run(timed);
        busy += worked() - before;
        if (!once || stopped || took >= length) break;
        run((struct pass){0, false, false, count, INT64_MAX, 0});
    }
    printf("{\"rate\": %.1f, \"p50\": %d, \"p99\": %d, \"longest\": %d, \"busy\": %.3f, ", seen.answers * 1e9 / took,
           percentile(0.5), percentile(0.99), percentile(1), (double)busy / took);
    printf("\"answers\": %ld, \"resent\": %ld, \"denied\": %ld, \"code\": %d, \"bad\": %ld}\n", seen.answers,
           seen.resent, seen.denied, seen.code, seen.bad);
    fflush(stdout);
}

static void stop(int number) { stopped = number; }

int main(int argc, char **argv) {
    count = argc > ARGUMENTS ? atoi(argv[5]) : 0;
    if (count % STRIDE == 0) { /* then not everybody would get a turn */
        fprintf(stderr, "registrants AGENT PORT CARE_OF EACH SESSIONS OUTSTANDING RATE HOME SECRET PHASE...\n");
        return 2;
    }
    uint32_t each = atoi(argv[4]), home = ntohl(inet_addr(argv[8])), wanted = atoi(argv[6]);
    agent = inet_addr(argv[1]), care_of = inet_addr(argv[3]), rate = atof(argv[7]);
    outstanding = wanted < count ? wanted : count;
    if (outstanding > MOST_SLOTS) outstanding = MOST_SLOTS;
    sessions = calloc(count, sizeof *sessions), asking = calloc(count, sizeof *asking);
    if (*argv[9]) make_key(foreign = &shared, (uint8_t *)argv[9], strlen(argv[9]));
    struct key *keys = calloc(count / each + 1, sizeof *keys);
    for (uint32_t i = 0; i <= count / each; i++) {
        uint8_t secret[16] = {[12] = i >> 24, i >> 16, i >> 8, i};
        make_key(&keys[i], secret, sizeof secret);
    }
    for (uint32_t i = 0; i < count; i++)
        sessions[i] = (struct session){i / each, i % each, home ? htonl(home + i) : 0, 0, &keys[i / each]};
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = octets[i];
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    signal(SIGTERM, stop);
    struct timeval patience = {0, LOOK_AGAIN / 1000};
    sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = care_of};
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = agent, .sin_port = htons(atoi(argv[2]))};
    if (bind(sock, (struct sockaddr *)&here, sizeof here)) fail(argv[3]);
    if (connect(sock, (struct sockaddr *)&there, sizeof there)) fail(argv[1]);
    for (int i = ARGUMENTS; i < argc; i++) phase(argv[i]);
    return 0;
}
