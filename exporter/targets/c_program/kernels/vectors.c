/* Vectors of the width that the processor has, and tiles that its registers hold. */
#if !@U@_VECTOR
#define @U@_WIDE 1
typedef float @P@_vector;
#define @U@_CLAMP(V, M, v, low, high) ((v) = (v) < (low) ? (low) : (v) > (high) ? (high) : (v))
#else
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
#define @U@_UNROLL _Pragma("GCC unroll 16")
#endif
#define @U@_INLINE static inline __attribute__((always_inline))

/* v if it is inside, else the bound; NaN stays NaN. */
#define @U@_CLAMP(V, M, v, low, high)                                         \
    do {                                                                      \
        const V lo_ = (V){0} + (low), hi_ = (V){0} + (high);                  \
        const M under_ = (M)((v) < lo_), over_ = (M)((v) > hi_);              \
        (v) = (V)(((M)(v) & ~under_ & ~over_) | ((M)lo_ & under_) | ((M)hi_ & over_ & ~under_)); \
    } while (0)
#endif
