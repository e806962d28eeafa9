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
/* What an agent with a key adds: RFC 3543 §5.1 with its length, of which it can be told; RFC 5944 §3.5.4. */
enum { REVOCATION_SUPPORT = 137, SUPPORT_SIZE = 8, INFORM = 0x80, FOREIGN_HOME = 34, FOREIGN_SPI = 512 };
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

/* An authentication of everything since `start`; where it ends. */
static uint8_t *sign(const struct key *key, uint8_t kind, uint16_t spi, const uint8_t *start, uint8_t *at) {
    *at++ = kind, *at++ = 4 + DIGEST, *at++ = 0, *at++ = 0, *at++ = spi >> 8, *at++ = spi & 255;
    hmac(key, start, at - start, at);
    return at + DIGEST;
}

/* Its size. agent, care_of: in network order. lifetime: seconds, 0 deregisters. foreign: the agent's key, NULL: none;
 * with one it says that it can revoke, and signs, but no deregistration. */
static size_t write_request(
    struct session *session, uint32_t agent, uint32_t care_of, uint16_t lifetime, uint16_t mark,
    const struct key *foreign, uint8_t *start
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
    at = sign(session->key, MOBILE_HOME, SPI, start, at);
    if (foreign && lifetime) {
        uint32_t timestamp = identification & 0xffffffff; /* its seconds, which come first */
        *at++ = REVOCATION_SUPPORT, *at++ = SUPPORT_SIZE - 2, *at++ = INFORM, *at++ = 0;
        at = mempcpy(at, &timestamp, 4);
        at = sign(foreign, FOREIGN_HOME, FOREIGN_SPI, start, at);
    }
    return at - start;
}

/* Where the authentication that begins `at` ends, 0 unless it is of this kind and holds. */
static size_t holds(const uint8_t *reply, size_t size, size_t at, uint8_t kind, const struct key *key) {
    uint8_t digest[DIGEST];
    size_t end = at + BEFORE_AUTHENTICATOR + DIGEST;
    if (end > size || reply[at] != kind) return 0;
    hmac(key, reply, end - DIGEST, digest);
    return memcmp(reply + end - DIGEST, digest, DIGEST) ? 0 : end;
}

/* Whether the Mobile-Home Authentication is there and holds, and behind it there is nothing, or where an agent has a key
 * what it has agreed to and its signature. */
static bool authentic(const uint8_t *reply, size_t size, const struct key *key, const struct key *foreign) {
    size_t at = REPLY_SIZE;
    while (at + 2 < size && reply[at] != MOBILE_HOME) at += 2 + reply[at + 1];
    at = holds(reply, size, at, MOBILE_HOME, key);
    if (at && foreign) {
        if (at + SUPPORT_SIZE >= size || reply[at] != REVOCATION_SUPPORT) return false;
        at = holds(reply, size, at + SUPPORT_SIZE, FOREIGN_HOME, foreign);
    }
    return at == size;
}

/* The low half of the Identification, which every reply repeats; `at` is REQUEST_LOW or REPLY_LOW. */
static uint32_t low_half(const uint8_t *message, size_t at) {
    uint32_t low;
    memcpy(&low, message + at, sizeof low);
    return ntohl(low);
}
