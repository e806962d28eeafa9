/* Registration Requests as a foreign agent relays them, and what their replies must be (RFC 5944 §3.3 … §3.5). */
#include <arpa/inet.h>
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "md5.h"

/* Octets; where the low half of the Identification is. FLAG_T: reverse tunnelling (RFC 3024). */
enum { REQUEST = 1, REPLY = 3, FLAG_T = 2, REQUEST_LOW = 20, REPLY_LOW = 16, REPLY_HOME = 4, REPLY_SIZE = 20 };
/* Extensions: RFC 2794; the sub-NAI in RFC 4064's; RFC 5944 §3.5.2, with its type, length and SPI before it. */
enum { NAI = 131, SUB_NAI = 255, ALONE = 1, MOBILE_HOME = 32, SPI = 256, BEFORE_AUTHENTICATOR = 6, LARGEST = 512 };
static const int64_t NTP_UNIX = 2208988800;

struct session {
    uint32_t nai, sub_nai; /* n7@example.net, s0 */
    uint32_t home;         /* in network order; 0: none yet */
    uint64_t identification;
    const struct key *key;
};

/* The next one: a timestamp above the last (RFC 5944 §5.7.1). Its low 16 bits, some 15 µs, are the `mark`. */
static uint64_t next_identification(struct session *session, uint16_t mark) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    uint64_t fresh = ((uint64_t)(at.tv_sec + NTP_UNIX) << 32 | ((uint64_t)at.tv_nsec << 32) / 1000000000) >> 16;
    uint64_t last = session->identification >> 16;
    return session->identification = (fresh > last ? fresh : last + 1) << 16 | mark;
}

/* Its size. agent, care_of: in network order. lifetime: seconds, 0 deregisters. */
static size_t write_request(
    struct session *session, uint32_t agent, uint32_t care_of, uint16_t lifetime, uint16_t mark, uint8_t *start
) {
    uint64_t identification = htobe64(next_identification(session, mark));
    uint8_t *at = start;
    *at++ = REQUEST, *at++ = FLAG_T, *at++ = lifetime >> 8, *at++ = lifetime & 255;
    at = mempcpy(at, &session->home, 4);
    at = mempcpy(at, &agent, 4);
    at = mempcpy(at, &care_of, 4);
    at = mempcpy(at, &identification, 8);
    int size = sprintf((char *)at + 2, "n%u@example.net", session->nai);
    *at++ = NAI, *at++ = size, at += size;
    size = sprintf((char *)at + 3, "s%u", session->sub_nai);
    *at++ = SUB_NAI, *at++ = 1 + size, *at++ = ALONE, at += size;
    *at++ = MOBILE_HOME, *at++ = 4 + DIGEST, *at++ = 0, *at++ = 0, *at++ = SPI >> 8, *at++ = SPI & 255;
    hmac(session->key, start, at - start, at);
    return at + DIGEST - start;
}

/* Whether the Mobile-Home Authentication is there, comes last and holds. */
static bool authentic(const uint8_t *reply, size_t size, const struct key *key) {
    uint8_t digest[DIGEST];
    size_t at = REPLY_SIZE;
    while (at + 2 < size && reply[at] != MOBILE_HOME) at += 2 + reply[at + 1];
    if (at + BEFORE_AUTHENTICATOR + DIGEST != size) return false;
    hmac(key, reply, at + BEFORE_AUTHENTICATOR, digest);
    return !memcmp(reply + at + BEFORE_AUTHENTICATOR, digest, DIGEST);
}

/* The low half of the Identification, which every reply repeats; `at` is REQUEST_LOW or REPLY_LOW. */
static uint32_t low_half(const uint8_t *message, size_t at) {
    uint32_t low;
    memcpy(&low, message + at, sizeof low);
    return ntohl(low);
}
