/* Weights in float16, all of them finite, and the float32 numbers that they are. */
typedef uint16_t @P@_half;

#if @U@_VECTOR
#if defined(__F16C__) || defined(__AVX512F__)
#include <immintrin.h>
#define @U@_WIDEN4(p) ((@P@_vector4)_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#if @U@_WIDE == 16
#define @U@_WIDEN(p) ((@P@_vector)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p))))
#elif @U@_WIDE == 8
#define @U@_WIDEN(p) ((@P@_vector)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#else
#define @U@_WIDEN(p) ((@P@_vector)@U@_WIDEN4(p))
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
#define @U@_WIDEN4(p) ((@P@_vector4)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))))
#define @U@_WIDEN(p) ((@P@_vector)@U@_WIDEN4(p))
#endif

/* By arithmetic: exponent and fraction go where float32 has them, a product puts the exponent right. */
#define @U@_WIDENER(V, WIDE)                                                                           \
    typedef uint16_t V##_halves __attribute__((vector_size(2 * (WIDE)), aligned(2), may_alias));      \
    typedef uint32_t V##_bits __attribute__((vector_size(4 * (WIDE)), aligned(4), may_alias));        \
    @U@_INLINE V V##_by_bits(const @P@_half *p)                                                        \
    {                                                                                                  \
        const V##_bits h = __builtin_convertvector(*(const V##_halves *)p, V##_bits);                  \
        const V v = (V)((h & 0x7fffu) << 13) * 0x1p112f;                                               \
        return (V)((V##_bits)v | (h & 0x8000u) << 16);                                                 \
    }
#ifndef @U@_WIDEN
@U@_WIDENER(@P@_vector, @U@_WIDE)
@U@_WIDENER(@P@_vector4, 4)
#define @U@_WIDEN(p) @P@_vector_by_bits(p)
#define @U@_WIDEN4(p) @P@_vector4_by_bits(p)
#endif
@U@_INLINE @P@_vector @P@_vector_of(const @P@_half *p) { return @U@_WIDEN(p); }
@U@_INLINE @P@_vector4 @P@_vector4_of(const @P@_half *p) { return @U@_WIDEN4(p); }
#else
static float @P@_widened(@P@_half h)
{
#if defined(__ARM_FP16_FORMAT_IEEE) && defined(__ARM_FP) && (__ARM_FP & 2)
    __fp16 value;
    memcpy(&value, &h, sizeof value);
    return (float)value;
#else
    union {
        uint32_t bits;
        float value;
    } u;
    u.bits = ((uint32_t)h & 0x7fffu) << 13;
    u.value *= 0x1p112f;
    u.bits |= ((uint32_t)h & 0x8000u) << 16;
    return u.value;
#endif
}
#endif
