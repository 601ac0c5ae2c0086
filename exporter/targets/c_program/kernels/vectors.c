/* Vectors of the width that the processor has, and tiles that its registers hold. */
#if !@U@_VECTOR
#define @U@_WIDE 1
typedef float @P@_vector;
#define @P@_vector_clamp(v, low, high) ((v) < (low) ? (low) : (v) > (high) ? (high) : (v))
#else
#if defined(__SSE__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define @U@_WIDE 16
#define @U@_PIXELS 9
#define @U@_PANELS 3
#elif defined(__AVX__)
#define @U@_WIDE 8
#define @U@_PIXELS 6
#define @U@_PANELS 1
#elif defined(__aarch64__)
#define @U@_WIDE 4
#define @U@_PIXELS 6
#define @U@_PANELS 1
#else
#define @U@_WIDE 4
#define @U@_PIXELS 3
#define @U@_PANELS 1
#endif
typedef float @P@_vector __attribute__((vector_size(4 * @U@_WIDE), aligned(4), may_alias));
typedef int @P@_mask __attribute__((vector_size(4 * @U@_WIDE), aligned(4), may_alias));
typedef float @P@_vector4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int @P@_mask4 __attribute__((vector_size(16), aligned(4), may_alias));
#if defined(__clang__)
#define @U@_UNROLL _Pragma("clang loop unroll(full)")
#else
#define @U@_UNROLL _Pragma("GCC unroll 32")
#endif
#define @U@_INLINE static inline __attribute__((always_inline, unused))

/* v if it is inside, else the bound; NaN stays NaN, as the instructions give the second operand then. */
#if defined(__SSE__)
#define @U@_CLAMPED(V, X, MM)                                                                         \
    @U@_INLINE V V##_clamp(V v, float low, float high)                                                \
    {                                                                                                 \
        return (V)MM##_min_ps(MM##_set1_ps(high), MM##_max_ps(MM##_set1_ps(low), (X)v));              \
    }
@U@_CLAMPED(@P@_vector4, __m128, _mm)
#if defined(__AVX512F__)
@U@_CLAMPED(@P@_vector, __m512, _mm512)
#elif defined(__AVX__)
@U@_CLAMPED(@P@_vector, __m256, _mm256)
#else
@U@_CLAMPED(@P@_vector, __m128, _mm)
#endif
#else
#define @U@_CLAMPED(V, M)                                                                             \
    @U@_INLINE V V##_clamp(V v, float low, float high)                                                \
    {                                                                                                 \
        const V lo = (V){0} + low, hi = (V){0} + high;                                                \
        const M under = (M)(v < lo), over = (M)(v > hi);                                              \
        return (V)(((M)v & ~under & ~over) | ((M)lo & under) | ((M)hi & over & ~under));              \
    }
@U@_CLAMPED(@P@_vector4, @P@_mask4)
@U@_CLAMPED(@P@_vector, @P@_mask)
#endif
#endif
