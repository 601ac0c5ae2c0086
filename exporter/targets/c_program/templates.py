"""The parts of the files that are the same for every model. @P@ is the prefix, @U@ the same in capitals."""

from __future__ import annotations

__all__ = [
    "ALIAS",
    "ANY_ORDER",
    "BASICS",
    "CMAKE",
    "COMPARE",
    "EQUAL",
    "EXP",
    "FRAME",
    "LAYER",
    "MAIN",
    "MAKEFILE",
    "README",
    "TEST",
    "WEIGHTS_S",
]

BASICS = """\
/* Written by ckpt2onnx. */
#include "@P@.h"

#include <math.h>
#include <string.h>

#ifndef @U@_VECTOR
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON) || defined(__riscv_vector))
#define @U@_VECTOR 1
#else
#define @U@_VECTOR 0
#endif
#endif

int @P@_load(@P@_weights *weights, const void *content, size_t bytes)
{
    static const char magic[16] = "ckpt2onnx C 1";
    uint32_t checksum;
    if (bytes != @U@_WEIGHTS_BYTES || memcmp(content, magic, sizeof magic) != 0) return 1;
    memcpy(&checksum, (const char *)content + 20, sizeof checksum);
    if (checksum != @U@_CHECKSUM) return 2;
    weights->data = (const float *)(const void *)((const char *)content + 64);
    return 0;
}

uint32_t @P@_crc32(const void *bytes, size_t count)
{
    const unsigned char *p = (const unsigned char *)bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}
"""

ALIAS = """\
/* The arena holds numbers of one type after those of another: a compiler mustn't take them for different memory. */
#if defined(__GNUC__)
#define @U@_ALIAS __attribute__((may_alias))
#else
#define @U@_ALIAS
#endif"""

ANY_ORDER = """\
/* Before a loop whose rounds don't depend on one another, though its result may take the place of an operand. */
#if defined(__clang__)
#define @U@_ANY_ORDER _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define @U@_ANY_ORDER _Pragma("GCC ivdep")
#else
#define @U@_ANY_ORDER
#endif
"""

EXP = """\
/* e to the power of x, within 2 units of the last place, without a call: 2^n times a polynomial of what is left of x.
 * What is below -87 or above 88 counts as that, and NaN stays NaN; by their bits, as compilers wouldn't vectorise loops
 * over conditions, nor over calls: GCC leaves those in large programs. */
#if defined(__GNUC__)
__attribute__((always_inline))
#endif
static inline float @P@_exp(float x)
{
    uint32_t bits;
    int32_t whole;
    float within, scale, p = 0.00019899287f;
    memcpy(&bits, &x, sizeof bits);
    bits = bits < 0xc2ae0000u ? bits : 0xc2ae0000u;
    whole = (int32_t)bits;
    whole = whole < 0x42b00000 ? whole : 0x42b00000;
    memcpy(&within, &whole, sizeof within);
    const float shifted = within * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    const float r = within - n * 0.693359375f + n * 2.12194440e-4f;
    p = p * r + 0.0013933652f;
    p = p * r + 0.0083332984f;
    p = p * r + 0.041666467f;
    p = p * r + 0.16666667f;
    p = p * r + 0.5f;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    memcpy(&scale, &bits, sizeof scale);
    p = (p * r * r + r + 1.0f) * scale;
    memcpy(&bits, &p, sizeof bits);
    bits |= 0u - (uint32_t)(x != x);
    memcpy(&p, &bits, sizeof p);
    return p;
}
"""

FRAME = """\
/* Zeros around an image of `rows` rows of `row` floats. */
static void @P@_frame(float *y, int rows, int row, int top, int left, int right, int bottom)
{
    memset(y, 0, (size_t)top * sizeof(float));
    y += top;
    for (int i = 0; i < rows; i++, y += row) {
        if (left) memset(y, 0, (size_t)left * sizeof(float));
        if (right) memset(y + row - right, 0, (size_t)right * sizeof(float));
    }
    memset(y, 0, (size_t)bottom * sizeof(float));
}
"""

LAYER = """\
#ifdef @U@_TRACE
#define @U@_LAYER(name, y, ...)                                     \\
    {                                                               \\
        static const int layer[] = {__VA_ARGS__};                   \\
        @P@_trace(name, y, layer[0], layer + 1, layer + 1 + layer[0]); \\
    }
#else
#define @U@_LAYER(name, y, ...)
#endif
"""

WEIGHTS_S = """\
/* Written by ckpt2onnx: the weights and the example as an object: @P@.bin, @P@_example.bin. */
#if defined(__APPLE__)
#define NAME(x) _##x
    .section __TEXT,__const
#else
#define NAME(x) x
    .section .rodata
#endif
    .globl NAME(@P@_bin)
    .balign 64
NAME(@P@_bin):
    .incbin "@P@.bin"
    .globl NAME(@P@_example_bin)
    .balign 64
NAME(@P@_example_bin):
    .incbin "@P@_example.bin"
    .balign 64
#if defined(__ELF__) && defined(__linux__)
    .section .note.GNU-stack,"",%progbits
#endif
"""

COMPARE = """\
static int compare_@T@(const char *name, const @T@ *found, const @T@ *expected, int count, @T@ limit)
{
    @T@ worst = 0;
    int good = 1;
    for (int i = 0; i < count; i++) {
        const @T@ off = found[i] < expected[i] ? expected[i] - found[i] : found[i] - expected[i];
        if (found[i] == expected[i] || (found[i] != found[i] && expected[i] != expected[i])) continue;
        if (!(off <= limit)) good = 0;
        if (!(off <= worst)) worst = off;
    }
    printf("%s: %s, %g of %g allowed\\n", name, good ? "good" : "OFF", (double)worst, (double)limit);
    return good;
}
"""

EQUAL = """\
static int equal_@T@(const char *name, const @T@ *found, const @T@ *expected, int count)
{
    int off = 0;
    for (int i = 0; i < count; i++) off += found[i] != expected[i];
    printf("%s: %s, %d of %d allowed\\n", name, off ? "OFF" : "good", off, 0);
    return !off;
}
"""

TEST = """\
/* Written by ckpt2onnx: runs the stored example in arenas full of garbage, and looks at the bytes around them. */
#include "@P@.h"

#include <stdio.h>
#include <string.h>

#define GUARD 64

extern const unsigned char @P@_bin[], @P@_example_bin[];

static struct {
    unsigned char before[GUARD];
    union {
        float floats[(@U@_ARENA_BYTES + 3) / 4 + 1];
        int64_t aligned;
        unsigned char bytes[@U@_ARENA_BYTES + 1];
    } arena;
    unsigned char after[GUARD];
} memory;

@BUFFERS@
static void fill(unsigned char *bytes, unsigned char value, size_t count)
{
    for (size_t i = 0; i < count; i++) bytes[i] = value;
}

static int guards(void)
{
    for (int i = 0; i < GUARD; i++)
        if (memory.before[i] != 0x5a || memory.after[i] != 0x5a) return 0;
    return memory.arena.bytes[@U@_ARENA_BYTES] == 0x5a;
}

@FUNCTIONS@
#ifdef @U@_TRACE
void @P@_trace(const char *name, const float *y, int rank, const int *sizes, const int *strides)
{
    printf("%s", name);
    for (int i = 0; i < rank; i++) printf("%s%d", i ? ", " : " [", sizes[i]);
    printf("%s: %g ...\\n", rank ? "]" : "", (double)y[0]);
    (void)strides;
}
#endif

int main(void)
{
    static const unsigned char garbage[2] = {0x00, 0xff};
    const unsigned char *example = @P@_example_bin + 64;
    @P@_weights weights;
    int good = 1;
    if (@P@_load(&weights, @P@_bin, @U@_WEIGHTS_BYTES) != 0) {
        printf("the weights are not those of this program\\n");
        return 1;
    }
    if (@P@_crc32(weights.data, @U@_WEIGHTS_BYTES - 64) != @U@_CHECKSUM) {
        printf("the weights are damaged\\n");
        return 1;
    }
    for (int run = 0; run < 2; run++) {
        memset(&memory, 0x5a, sizeof memory);
        fill(memory.arena.bytes, garbage[run], @U@_ARENA_BYTES);
        if (@CALL@) {
            printf("an index is outside its tensor\\n");
            good = 0;
        }
        if (!guards()) {
            printf("something was written outside the arena\\n");
            good = 0;
        }
@COMPARISONS@
    }
    printf("arena %lu bytes, weights %lu bytes: %s\\n", (unsigned long)@U@_ARENA_BYTES,
           (unsigned long)@U@_WEIGHTS_BYTES, good ? "passed" : "FAILED");
    return good ? 0 : 1;
}
"""

MAIN = """\
/* @P@_run IN.npy... -o OUT.npy...: runs the model on a computer with files. Written by ckpt2onnx. */
#include "@P@.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const unsigned char @P@_bin[];

static union {
    float floats[@U@_ARENA_BYTES / 4 + 1];
    int64_t aligned;
} memory;
@BUFFERS@
static const struct {
    const char *name, *shape, *type;
    int count, size;
    void *data;
} inputs[] = {@INPUTS@}, outputs[] = {@OUTPUTS@};

#define INPUTS ((int)(sizeof inputs / sizeof inputs[0]))
#define OUTPUTS ((int)(sizeof outputs / sizeof outputs[0]))

static int fail(const char *file, const char *why)
{
    fprintf(stderr, "%s: %s\\n", file, why);
    return 3;
}

static int read_npy(const char *path, const char *shape, const char *type, void *data, int count, int size)
{
    unsigned char head[10];
    char text[1024];
    size_t length;
    FILE *file = fopen(path, "rb");
    if (!file) return fail(path, "can't be opened");
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\\x93NUMPY\\x01", 7) != 0 ||
        (length = (size_t)head[8] + 256 * (size_t)head[9]) >= sizeof text || fread(text, 1, length, file) != length) {
        fclose(file);
        return fail(path, "is no .npy file of version 1");
    }
    text[length] = 0;
    if (!strstr(text, type) || !strstr(text, "'fortran_order': False") || !strstr(text, shape)) {
        fclose(file);
        fprintf(stderr, "%s: expected %s %s in C order, found %s\\n", path, type, shape, text);
        return 3;
    }
    length = fread(data, (size_t)size, (size_t)count, file);
    fclose(file);
    return length == (size_t)count ? 0 : fail(path, "ends too early");
}

static int write_npy(const char *path, const char *shape, const char *type, const void *data, int count, int size)
{
    char text[1024];
    unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0};
    int length, good;
    FILE *file = fopen(path, "wb");
    if (!file) return fail(path, "can't be written");
    length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    while ((length + 11) % 64) text[length++] = ' ';
    text[length++] = '\\n';
    head[8] = (unsigned char)(length % 256);
    head[9] = (unsigned char)(length / 256);
    good = fwrite(head, 1, 10, file) == 10 && fwrite(text, 1, (size_t)length, file) == (size_t)length &&
           fwrite(data, (size_t)size, (size_t)count, file) == (size_t)count;
    return fclose(file) == 0 && good ? 0 : fail(path, "can't be written");
}

#ifdef @U@_TRACE
/* Appends to the file in the environment's @U@_TRACE: a line with the name, one with the sizes, and the numbers. */
void @P@_trace(const char *name, const float *y, int rank, const int *sizes, const int *strides)
{
    const char *path = getenv("@U@_TRACE");
    FILE *file = path ? fopen(path, "ab") : NULL;
    int total = 1;
    if (!file) return;
    fprintf(file, "%s\\n", name);
    for (int i = 0; i < rank; total *= sizes[i++]) fprintf(file, "%s%d", i ? " " : "", sizes[i]);
    fprintf(file, "\\n");
    for (int n = 0; n < total; n++) {
        ptrdiff_t at = 0;
        for (int i = rank - 1, left = n; i >= 0; left /= sizes[i--]) at += (ptrdiff_t)(left % sizes[i]) * strides[i];
        fwrite(y + at, sizeof *y, 1, file);
    }
    fclose(file);
}
#endif

int main(int count, char **arguments)
{
    @P@_weights weights;
    const int repeats = getenv("@U@_REPEAT") ? atoi(getenv("@U@_REPEAT")) : 1;
    if (count != INPUTS + OUTPUTS + 2 || strcmp(arguments[INPUTS + 1], "-o") != 0) {
        fprintf(stderr, "usage: %s", arguments[0]);
        for (int i = 0; i < INPUTS; i++) fprintf(stderr, " %s.npy", inputs[i].name);
        fprintf(stderr, " -o");
        for (int i = 0; i < OUTPUTS; i++) fprintf(stderr, " %s.npy", outputs[i].name);
        fprintf(stderr, "\\n");
        return 2;
    }
    if (@P@_load(&weights, @P@_bin, @U@_WEIGHTS_BYTES) != 0) return fail("@P@.bin", "is not of this program");
    for (int i = 0; i < INPUTS; i++) {
        const int status = read_npy(arguments[1 + i], inputs[i].shape, inputs[i].type, inputs[i].data,
                                    inputs[i].count, inputs[i].size);
        if (status) return status;
    }
    for (int i = 0; i < repeats; i++) {
        const clock_t begin = clock();
        if (@CALL@) return fail(arguments[0], "an index is outside its tensor");
        if (repeats > 1) printf("%.4f ms\\n", (double)(clock() - begin) * 1e3 / CLOCKS_PER_SEC);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        const int status = write_npy(arguments[INPUTS + 2 + i], outputs[i].shape, outputs[i].type,
                                     outputs[i].data, outputs[i].count, outputs[i].size);
        if (status) return status;
    }
    return 0;
}
"""

MAKEFILE = """\
# Written by ckpt2onnx.
# make test: builds and runs the stored example. make @P@_run: a tool that reads and writes .npy files.
CFLAGS ?= -O3 -march=native
WARNINGS = -std=c99 -ffp-contract=fast -Wall -Wextra -Wpedantic -Wconversion
RUN ?=

all: @P@.o

@P@.o: @P@.c @P@.h
	$(CC) $(WARNINGS) $(CFLAGS) -c -o $@ @P@.c

@P@_weights.o: @P@_weights.S @P@.bin @P@_example.bin
	$(CC) -c -o $@ @P@_weights.S

@P@_test: @P@_test.c @P@.o @P@_weights.o
	$(CC) $(WARNINGS) $(CFLAGS) $(LDFLAGS) -o $@ @P@_test.c @P@.o @P@_weights.o -lm

@P@_run: @P@_main.c @P@.o @P@_weights.o
	$(CC) $(WARNINGS) $(CFLAGS) $(LDFLAGS) -o $@ @P@_main.c @P@.o @P@_weights.o -lm

test: @P@_test
	$(RUN) ./@P@_test

clean:
	rm -f @P@.o @P@_weights.o @P@_test @P@_run

.PHONY: all test clean
"""

CMAKE = """\
# Written by ckpt2onnx.
cmake_minimum_required(VERSION 3.13)
project(@P@ C ASM)
set(CMAKE_C_STANDARD 99)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(@P@ STATIC @P@.c @P@_weights.S)
target_include_directories(@P@ PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
set_source_files_properties(@P@_weights.S PROPERTIES
  COMPILE_OPTIONS "-I${CMAKE_CURRENT_SOURCE_DIR}"
  OBJECT_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/@P@.bin;${CMAKE_CURRENT_SOURCE_DIR}/@P@_example.bin")
target_compile_options(@P@ PRIVATE $<$<COMPILE_LANGUAGE:C>:-ffp-contract=fast -Wall -Wextra -Wpedantic -Wconversion>)
target_link_libraries(@P@ PUBLIC m)

add_executable(@P@_test @P@_test.c)
target_link_libraries(@P@_test @P@)
add_executable(@P@_run @P@_main.c)
target_link_libraries(@P@_run @P@)

enable_testing()
add_test(NAME @P@ COMMAND @P@_test)
"""

README = """\
# @P@ in C

Written by @PRODUCER@. C99, float32, no allocation, no state: `@P@_run` may be called from several threads, each with an
arena of its own.

| | |
|---|---|
@VALUES@
| working memory (`@U@_ARENA_BYTES`) | @ARENA@ bytes; the largest values alive at one time are @LIVE@ |
| weights (`@U@_WEIGHTS_BYTES`) | @WEIGHTS@ bytes, `@P@.bin`: 64 of header (with a CRC-32), then @STORED@ |
| multiply-adds (`@U@_MACS`) | @MACS@ |

Tensors are float32 unless another type is told, row by row, channels last.

```c
#include "@P@.h"

static float arena[@U@_ARENA_BYTES / 4 + 1];
extern const unsigned char @P@_bin[];   /* @P@_weights.S links @P@.bin */

@P@_weights weights;
@P@_load(&weights, @P@_bin, @U@_WEIGHTS_BYTES);
@EXAMPLE@
```

`make test` builds and runs the stored example, between guard bytes. `make @P@_run` builds a tool: `./@P@_run @TOOL@`.
For another processor: `make test CC=aarch64-linux-gnu-gcc CFLAGS=-O2 LDFLAGS=-static RUN=qemu-aarch64`. Inner loops use
the vectors that `-march` allows (AVX-512, AVX, NEON, SSE), plain C where there are none: `-D@U@_VECTOR=0` asks for it.
`make test CFLAGS='-O2 -D@U@_TRACE'` prints what each layer gives; a program of your own gets all of it in `@P@_trace`.

| layer | multiply-adds | weights, bytes |
|---|---|---|
@LAYERS@
"""
