#include "textflag.h"

// SHA-256 (FIPS 180-4, section 6.2) of two messages at a time with the SHA
// extensions, after S. Gulley et al., "Intel SHA Extensions: New Instructions
// Supporting the Secure Hash Algorithm on Intel Architecture Processors" (July
// 2013).
//
// SHA256RNDS2 does two rounds and takes four cycles or more, but another one can
// begin after two: the rounds of one message, each of which needs the one before,
// leave half of the unit idle. Those of a second message fill the gaps.

// The registers. Of both messages: the state as SHA256RNDS2 has it, and below
// X5 to X8 and X9 to X12, sixteen words of the message schedule.
#define ABEF1 X1
#define CDGH1 X2
#define ABEF2 X3
#define CDGH2 X4

#define WORDS X0  // SHA256RNDS2 takes the words of two rounds from here
#define TEMP  X13
#define SWAP  X15

// LOAD takes the four words at 4*i of a block, which are big-endian.
#define LOAD(i, block, m) \
	MOVOU  (16*i)(block), m; \
	PSHUFB SWAP, m

// ROUNDS does the rounds 4*i to 4*i+3 with the words m of the schedule.
#define ROUNDS(i, m, abef, cdgh) \
	MOVO        m, WORDS;            \
	PADDD       (16*i)(R8), WORDS;   \
	SHA256RNDS2 WORDS, abef, cdgh;   \
	PSHUFD      $0x0e, WORDS, WORDS; \
	SHA256RNDS2 WORDS, cdgh, abef

#define BOTH(i, a, b) \
	ROUNDS(i, a, ABEF1, CDGH1); \
	ROUNDS(i, b, ABEF2, CDGH2)

// EXTEND makes the four words after m. They take the place of those sixteen before,
// next, which SHA256MSG1 has prepared; before are those just before m.
#define EXTEND(before, m, next) \
	MOVO       m, TEMP;          \
	PALIGNR    $4, before, TEMP; \
	PADDD      TEMP, next;       \
	SHA256MSG2 m, next

// LATE does rounds of both messages, with the words in the last register of
// each, and makes the words of the next ones.
#define LATE(i, a0, a2, a3, b0, b2, b3) \
	BOTH(i, a3, b3);    \
	EXTEND(a2, a3, a0); \
	EXTEND(b2, b3, b0)

// STEP is LATE, and prepares words for three steps later.
#define STEP(i, a0, a2, a3, b0, b2, b3) \
	LATE(i, a0, a2, a3, b0, b2, b3); \
	SHA256MSG1 a3, a2;               \
	SHA256MSG1 b3, b2

// func blocks(one, two *state, a, b *byte, n int)
TEXT ·blocks(SB), NOSPLIT, $0-40
	MOVQ  one+0(FP), DI
	MOVQ  two+8(FP), SI
	MOVQ  a+16(FP), AX
	MOVQ  b+24(FP), BX
	MOVQ  n+32(FP), CX
	LEAQ  rounds<>(SB), R8
	MOVOU swap<>(SB), SWAP
	MOVOU 0(DI), ABEF1
	MOVOU 16(DI), CDGH1
	MOVOU 0(SI), ABEF2
	MOVOU 16(SI), CDGH2
	TESTQ CX, CX
	JLE   done

block:
	// Rounds 0 to 11: the words are the block's own.
	LOAD(0, AX, X5)
	LOAD(0, BX, X9)
	BOTH(0, X5, X9)

	LOAD(1, AX, X6)
	LOAD(1, BX, X10)
	BOTH(1, X6, X10)
	SHA256MSG1 X6, X5
	SHA256MSG1 X10, X9

	LOAD(2, AX, X7)
	LOAD(2, BX, X11)
	BOTH(2, X7, X11)
	SHA256MSG1 X7, X6
	SHA256MSG1 X11, X10

	// From round 12 on: the words of the next rounds are made.
	LOAD(3, AX, X8)
	LOAD(3, BX, X12)
	STEP(3, X5, X7, X8, X9, X11, X12)
	STEP(4, X6, X8, X5, X10, X12, X9)
	STEP(5, X7, X5, X6, X11, X9, X10)
	STEP(6, X8, X6, X7, X12, X10, X11)
	STEP(7, X5, X7, X8, X9, X11, X12)
	STEP(8, X6, X8, X5, X10, X12, X9)
	STEP(9, X7, X5, X6, X11, X9, X10)
	STEP(10, X8, X6, X7, X12, X10, X11)
	STEP(11, X5, X7, X8, X9, X11, X12)
	STEP(12, X6, X8, X5, X10, X12, X9)
	LATE(13, X7, X5, X6, X11, X9, X10)
	LATE(14, X8, X6, X7, X12, X10, X11)
	BOTH(15, X8, X12)

	// The block's result is added to the state before it, which lies in memory.
	MOVOU 0(DI), TEMP
	PADDD TEMP, ABEF1
	MOVOU ABEF1, 0(DI)
	MOVOU 16(DI), TEMP
	PADDD TEMP, CDGH1
	MOVOU CDGH1, 16(DI)
	MOVOU 0(SI), TEMP
	PADDD TEMP, ABEF2
	MOVOU ABEF2, 0(SI)
	MOVOU 16(SI), TEMP
	PADDD TEMP, CDGH2
	MOVOU CDGH2, 16(SI)
	ADDQ  $64, AX
	ADDQ  $64, BX
	DECQ  CX
	JNZ   block

done:
	RET

// func cpuid(leaf uint32) (eax, ebx, ecx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-20
	MOVL leaf+0(FP), AX
	XORL CX, CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	RET

// Where PSHUFB takes the bytes of four words from: each word is reversed.
DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// The constants of the rounds (FIPS 180-4, section 4.2.2).
DATA rounds<>+0(SB)/8, $0x71374491428a2f98
DATA rounds<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA rounds<>+16(SB)/8, $0x59f111f13956c25b
DATA rounds<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA rounds<>+32(SB)/8, $0x12835b01d807aa98
DATA rounds<>+40(SB)/8, $0x550c7dc3243185be
DATA rounds<>+48(SB)/8, $0x80deb1fe72be5d74
DATA rounds<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA rounds<>+64(SB)/8, $0xefbe4786e49b69c1
DATA rounds<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA rounds<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA rounds<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA rounds<>+96(SB)/8, $0xa831c66d983e5152
DATA rounds<>+104(SB)/8, $0xbf597fc7b00327c8
DATA rounds<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA rounds<>+120(SB)/8, $0x1429296706ca6351
DATA rounds<>+128(SB)/8, $0x2e1b213827b70a85
DATA rounds<>+136(SB)/8, $0x53380d134d2c6dfc
DATA rounds<>+144(SB)/8, $0x766a0abb650a7354
DATA rounds<>+152(SB)/8, $0x92722c8581c2c92e
DATA rounds<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA rounds<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA rounds<>+176(SB)/8, $0xd6990624d192e819
DATA rounds<>+184(SB)/8, $0x106aa070f40e3585
DATA rounds<>+192(SB)/8, $0x1e376c0819a4c116
DATA rounds<>+200(SB)/8, $0x34b0bcb52748774c
DATA rounds<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA rounds<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA rounds<>+224(SB)/8, $0x78a5636f748f82ee
DATA rounds<>+232(SB)/8, $0x8cc7020884c87814
DATA rounds<>+240(SB)/8, $0xa4506ceb90befffa
DATA rounds<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL rounds<>(SB), RODATA|NOPTR, $256
