/* MD5 (RFC 1321) and HMAC-MD5 (RFC 2104) with the padded keys hashed once: what nodes sign and check replies with. Our
 * own, so that a bench needs a compiler and nothing else. */
#include <stdint.h>
#include <string.h>

enum { DIGEST = 16, BLOCK = 64 };

struct key {
    uint32_t inner[4], outer[4]; /* after the padded key, one block */
};

static const uint32_t MD5_START[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

/* One block into `state` (RFC 1321 §3.4). Hosts are little-endian, as MD5 is: what else runs benches is refused below. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a bench for little-endian machines");
static void md5_block(uint32_t state[4], const uint8_t *octets) {
    static const uint32_t ADDED[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    };
    static const uint8_t TURNED[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t word[16], a = state[0], b = state[1], c = state[2], d = state[3];
    memcpy(word, octets, BLOCK);
    for (int i = 0; i < 64; i++) {
        uint32_t mixed, next;
        int at;
        switch (i / 16) {
        case 0: mixed = (b & c) | (~b & d), at = i; break;
        case 1: mixed = (b & d) | (c & ~d), at = (5 * i + 1) % 16; break;
        case 2: mixed = b ^ c ^ d, at = (3 * i + 5) % 16; break;
        default: mixed = c ^ (b | ~d), at = 7 * i % 16;
        }
        next = a + mixed + word[at] + ADDED[i];
        a = d, d = c, c = b;
        b += next << TURNED[i / 16][i % 4] | next >> (32 - TURNED[i / 16][i % 4]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

/* The rest of a message whose first block is in `state` already; what comes out is in the order of the wire. */
static void md5_rest(uint32_t state[4], const uint8_t *octets, size_t size) {
    uint64_t bits = (BLOCK + size) * 8;
    uint8_t last[2 * BLOCK] = {0};
    for (; size >= BLOCK; size -= BLOCK, octets += BLOCK) md5_block(state, octets);
    size_t blocks = size + 9 > BLOCK ? 2 : 1;
    memcpy(last, octets, size);
    last[size] = 0x80;
    memcpy(last + blocks * BLOCK - sizeof bits, &bits, sizeof bits);
    for (size_t i = 0; i < blocks; i++) md5_block(state, last + i * BLOCK);
}

static void padded(uint32_t state[4], const uint8_t *secret, size_t size, uint8_t pad) {
    uint8_t block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) block[i] = (i < size ? secret[i] : 0) ^ pad;
    memcpy(state, MD5_START, sizeof MD5_START);
    md5_block(state, block);
}

/* At most BLOCK octets of secret. */
static void make_key(struct key *key, const uint8_t *secret, size_t size) {
    padded(key->inner, secret, size, 0x36);
    padded(key->outer, secret, size, 0x5c);
}

static void hmac(const struct key *key, const uint8_t *octets, size_t size, uint8_t digest[DIGEST]) {
    uint32_t inner[4], outer[4];
    memcpy(inner, key->inner, sizeof inner);
    memcpy(outer, key->outer, sizeof outer);
    md5_rest(inner, octets, size);
    md5_rest(outer, (const uint8_t *)inner, sizeof inner);
    memcpy(digest, outer, DIGEST);
}
