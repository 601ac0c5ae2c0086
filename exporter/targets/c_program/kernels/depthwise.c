/* Depthwise convolutions: each channel by itself. Weights are [taps][channels]. */
typedef struct {
    int rows, cols, taps, channels;
    int x_row, x_col, y_row, y_col;
    const int *tap;
    float low, high;
} @P@_depth;

#if @U@_VECTOR
/* One row of the output, for the channels of one vector; the weights of nine taps stay in registers. */
static void @P@_depth_row(const @P@_depth *g, const float *x, const float *w, const float *b, float *y)
{
    const @P@_vector bias = *(const @P@_vector *)b;
    const int n = g->channels;
    if (g->taps == 9) {
        const int *at = g->tap;
        const @P@_vector w0 = *(const @P@_vector *)w, w1 = *(const @P@_vector *)(w + n);
        const @P@_vector w2 = *(const @P@_vector *)(w + 2 * n), w3 = *(const @P@_vector *)(w + 3 * n);
        const @P@_vector w4 = *(const @P@_vector *)(w + 4 * n), w5 = *(const @P@_vector *)(w + 5 * n);
        const @P@_vector w6 = *(const @P@_vector *)(w + 6 * n), w7 = *(const @P@_vector *)(w + 7 * n);
        const @P@_vector w8 = *(const @P@_vector *)(w + 8 * n);
        for (int j = 0; j < g->cols; j++, x += g->x_col, y += g->y_col) {
            @P@_vector s = bias + *(const @P@_vector *)(x + at[0]) * w0, t = *(const @P@_vector *)(x + at[1]) * w1;
            s += *(const @P@_vector *)(x + at[2]) * w2;
            t += *(const @P@_vector *)(x + at[3]) * w3;
            s += *(const @P@_vector *)(x + at[4]) * w4;
            t += *(const @P@_vector *)(x + at[5]) * w5;
            s += *(const @P@_vector *)(x + at[6]) * w6;
            t += *(const @P@_vector *)(x + at[7]) * w7;
            s += *(const @P@_vector *)(x + at[8]) * w8 + t;
            @U@_CLAMP(@P@_vector, @P@_mask, s, g->low, g->high);
            *(@P@_vector *)y = s;
        }
        return;
    }
    for (int j = 0; j < g->cols; j++, x += g->x_col, y += g->y_col) {
        @P@_vector s = bias;
        const float *p = w;
        for (int t = 0; t < g->taps; t++, p += n) s += *(const @P@_vector *)(x + g->tap[t]) * *(const @P@_vector *)p;
        @U@_CLAMP(@P@_vector, @P@_mask, s, g->low, g->high);
        *(@P@_vector *)y = s;
    }
}
#endif

static void @P@_depthwise(const @P@_depth *g, const float *x, const float *w, const float *b, float *y)
{
    for (int i = 0; i < g->rows; i++) {
        const float *from = x + (ptrdiff_t)i * g->x_row;
        float *to = y + (ptrdiff_t)i * g->y_row;
        int first = 0;
#if @U@_VECTOR
        for (; first + @U@_WIDE <= g->channels; first += @U@_WIDE)
            @P@_depth_row(g, from + first, w + first, b + first, to + first);
#endif
        for (int j = 0; first < g->channels && j < g->cols; j++) {
            for (int c = first; c < g->channels; c++) {
                const float *a = from + j * g->x_col + c;
                float s = b[c];
                for (int t = 0; t < g->taps; t++) s += a[g->tap[t]] * w[t * g->channels + c];
                to[j * g->y_col + c] = s < g->low ? g->low : s > g->high ? g->high : s;
            }
        }
    }
}
