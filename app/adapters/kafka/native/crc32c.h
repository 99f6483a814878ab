/* CRC32C, the checksum of record batches: by the processor's instruction where it has one, else by tables.
 *
 * No state but the tables, which make_tables() writes once, at import.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* Castagnoli, bits reversed: RFC 3720, appendix B.4 */
#define BLOCK 1024             /* bytes; the processor's instruction works on three blocks side by side */

static uint32_t table[8][256]; /* table[k][b]: what byte b does to a checksum when k more zero bytes follow it */
static uint32_t skip[4][256];  /* skip[k][b]: what BLOCK zero bytes make of a checksum whose byte k is b, others 0 */

static uint32_t one_byte(uint32_t crc, uint8_t byte)
{
    return (crc >> 8) ^ table[0][(crc ^ byte) & 0xff];
}

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int byte = 0; byte < 256; byte++)
            table[k][byte] = one_byte(table[k - 1][byte], 0);
    for (int k = 0; k < 4; k++)
        for (uint32_t byte = 1; byte < 256; byte++) {
            uint32_t lowest = byte & (0u - byte), crc = lowest << (8 * k);
            if (byte == lowest)
                for (int i = 0; i < BLOCK; i++)
                    crc = one_byte(crc, 0);
            else /* checksums are linear: a byte does what its bits do */
                crc = skip[k][lowest] ^ skip[k][byte ^ lowest];
            skip[k][byte] = crc;
        }
}

/* Eight bytes a step ("slicing by 8"): for processors without an instruction. */
static uint32_t crc_by_tables(uint32_t crc, const uint8_t *at, size_t left)
{
    for (; left >= 8; at += 8, left -= 8) {
        crc ^= at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^ table[4][crc >> 24] ^
              table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
    }
    for (; left; at++, left--)
        crc = one_byte(crc, *at);
    return crc;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <nmmintrin.h>
#define INSTRUCTION __attribute__((target("sse4.2")))
#define HAS_INSTRUCTION __builtin_cpu_supports("sse4.2")
#define STEP8(crc, bytes) _mm_crc32_u64((crc), (bytes))
#define STEP1(crc, byte) _mm_crc32_u8((uint32_t)(crc), (byte))
#elif defined(__ARM_FEATURE_CRC32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_acle.h>
#define INSTRUCTION
#define HAS_INSTRUCTION 1
#define STEP8(crc, bytes) __crc32cd((uint32_t)(crc), (bytes))
#define STEP1(crc, byte) __crc32cb((uint32_t)(crc), (byte))
#endif

#ifdef INSTRUCTION
static inline uint64_t eight(const uint8_t *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, 8);
    return bytes;
}

static inline uint32_t skip_block(uint64_t crc)
{
    return skip[0][crc & 0xff] ^ skip[1][crc >> 8 & 0xff] ^ skip[2][crc >> 16 & 0xff] ^ skip[3][crc >> 24 & 0xff];
}

/* The instruction takes three cycles but one can begin in each, so three blocks keep it busy; then they are joined. */
INSTRUCTION static uint32_t crc_by_instruction(uint32_t start, const uint8_t *at, size_t left)
{
    uint64_t crc = start;
    for (; left >= 3 * BLOCK; at += 3 * BLOCK, left -= 3 * BLOCK) {
        uint64_t second = 0, third = 0;
        for (int i = 0; i < BLOCK; i += 8) {
            crc = STEP8(crc, eight(at + i));
            second = STEP8(second, eight(at + BLOCK + i));
            third = STEP8(third, eight(at + 2 * BLOCK + i));
        }
        crc = skip_block(skip_block(crc) ^ second) ^ third;
    }
    for (; left >= 8; at += 8, left -= 8)
        crc = STEP8(crc, eight(at));
    for (; left; at++, left--)
        crc = STEP1(crc, *at);
    return (uint32_t)crc;
}
#endif

static uint32_t crc_of(const uint8_t *at, size_t size, int tables_only)
{
#ifdef INSTRUCTION
    if (!tables_only && HAS_INSTRUCTION)
        return ~crc_by_instruction(~0u, at, size);
#endif
    (void)tables_only;
    return ~crc_by_tables(~0u, at, size);
}
