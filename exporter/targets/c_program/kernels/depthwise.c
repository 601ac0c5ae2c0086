/* Depthwise convolutions: each channel by itself. Weights are [taps][channels]. */
typedef struct {
    int rows, cols, taps, channels;
    int x_row, x_col, y_row, y_col;
    const int *tap;
    float low, high;
} @P@_depth;

#if @U@_VECTOR
#define @U@_ACROSS 7
#define @U@_CHUNK 128

/* `count` pixels side by side, for the channels of one vector and a kernel of `size` columns; each number of the input
 * is read once for all the sums that it goes into. */
@U@_INLINE void @P@_depth_tile(const @P@_depth *g, const float *x, const float *w, const float *b, float *y,
                               const int count, const int size, const int stride)
{
    const int pixel = g->x_col / stride, n = g->channels;
    @P@_vector sum[@U@_ACROSS];
    @U@_UNROLL for (int m = 0; m < count; m++) sum[m] = *(const @P@_vector *)b;
    for (int i = 0; i < g->taps; i += size, w += size * n) {
        const float *from = x + g->tap[i];
        @P@_vector weight[5];
        @U@_UNROLL for (int v = 0; v < size; v++) weight[v] = *(const @P@_vector *)(w + v * n);
        @U@_UNROLL for (int q = 0; q < (count - 1) * stride + size; q++)
        {
            const @P@_vector a = *(const @P@_vector *)(from + q * pixel);
            @U@_UNROLL for (int m = 0; m < count; m++)
                if (q >= m * stride && q < m * stride + size) sum[m] += a * weight[q - m * stride];
        }
    }
    @U@_UNROLL for (int m = 0; m < count; m++)
        *(@P@_vector *)(y + m * g->y_col) = @P@_vector_clamp(sum[m], g->low, g->high);
}

/* For kernels of `size` columns without gaps. What is left over at the end of a row, or of the channels, is
 * calculated together with what comes before it, which then is calculated twice. */
@U@_INLINE void @P@_depth_image(const @P@_depth *g, const float *x, const float *w, const float *b, float *y,
                                const int size, const int stride)
{
    for (int chunk = 0; chunk < g->channels; chunk += @U@_CHUNK) {
        const int end = chunk + @U@_CHUNK < g->channels ? chunk + @U@_CHUNK : g->channels;
        for (int i = 0; i < g->rows; i++) {
            const float *from = x + (ptrdiff_t)i * g->x_row;
            float *to = y + (ptrdiff_t)i * g->y_row;
            for (int next = 0; next < g->cols;) {
                const int wide = g->cols >= @U@_ACROSS, left = g->cols - next;
                const int j = wide && left < @U@_ACROSS ? g->cols - @U@_ACROSS : next;
                for (int c = chunk; c < end; c += @U@_WIDE) {
                    const int at = c + @U@_WIDE <= g->channels ? c : g->channels - @U@_WIDE;
                    const float *p = from + j * g->x_col + at;
                    float *q = to + j * g->y_col + at;
                    if (wide) @P@_depth_tile(g, p, w + at, b + at, q, @U@_ACROSS, size, stride);
                    else @P@_depth_tile(g, p, w + at, b + at, q, 1, size, stride);
                }
                next = j + (wide ? @U@_ACROSS : 1);
            }
        }
    }
}

/* Whether it is one of these: a kernel of `size` columns, whose pixels are `x_col / stride` floats apart. */
static int @P@_depth_is(const @P@_depth *g, int size, int stride)
{
    if (g->channels < @U@_WIDE || g->taps % size || g->x_col % stride) return 0;
    for (int i = 0; i < g->taps; i++)
        if (g->tap[i] != g->tap[i / size * size] + i % size * (g->x_col / stride)) return 0;
    return 1;
}
#endif

static void @P@_depth_any(const @P@_depth *g, const float *x, const float *w, const float *b, float *y)
{
    for (int i = 0; i < g->rows; i++) {
        for (int j = 0; j < g->cols; j++) {
            const float *from = x + (ptrdiff_t)i * g->x_row + j * g->x_col;
            float *to = y + (ptrdiff_t)i * g->y_row + j * g->y_col;
            for (int c = 0; c < g->channels; c++) to[c] = b[c];
            for (int t = 0; t < g->taps; t++) {
                const float *a = from + g->tap[t], *p = w + t * g->channels;
                for (int c = 0; c < g->channels; c++) to[c] += a[c] * p[c];
            }
            for (int c = 0; c < g->channels; c++) to[c] = to[c] < g->low ? g->low : to[c] > g->high ? g->high : to[c];
        }
    }
}

static void @P@_depthwise(const @P@_depth *g, const float *x, const float *w, const float *b, float *y)
{
#if @U@_VECTOR
    if (@P@_depth_is(g, 3, 1)) @P@_depth_image(g, x, w, b, y, 3, 1);
    else if (@P@_depth_is(g, 3, 2)) @P@_depth_image(g, x, w, b, y, 3, 2);
    else if (@P@_depth_is(g, 5, 1)) @P@_depth_image(g, x, w, b, y, 5, 1);
    else if (@P@_depth_is(g, 5, 2)) @P@_depth_image(g, x, w, b, y, 5, 2);
    else @P@_depth_any(g, x, w, b, y);
#else
    @P@_depth_any(g, x, w, b, y);
#endif
}
