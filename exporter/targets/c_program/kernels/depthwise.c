/* Depthwise convolutions: each channel by itself. Weights are [taps][channels]. */
typedef struct {
    int rows, cols, taps, channels;
    int x_row, x_col, y_row, y_col;
    const int *tap;
    float low, high;
} @P@_depth;

static void @P@_depthwise(const @P@_depth *g, const float *x, const float *w, const float *b, float *y)
{
    for (int i = 0; i < g->rows; i++) {
        for (int j = 0; j < g->cols; j++) {
            const float *from = x + (ptrdiff_t)i * g->x_row + j * g->x_col;
            float *to = y + (ptrdiff_t)i * g->y_row + j * g->y_col;
            int c = 0;
#if @U@_VECTOR
            for (; c + 2 * @U@_WIDE <= g->channels; c += 2 * @U@_WIDE) {
                @P@_vector s0 = *(const @P@_vector *)(b + c), s1 = *(const @P@_vector *)(b + c + @U@_WIDE);
                const float *p = w + c;
                for (int t = 0; t < g->taps; t++, p += g->channels) {
                    const float *a = from + g->tap[t] + c;
                    s0 += *(const @P@_vector *)a * *(const @P@_vector *)p;
                    s1 += *(const @P@_vector *)(a + @U@_WIDE) * *(const @P@_vector *)(p + @U@_WIDE);
                }
                @U@_CLAMP(@P@_vector, @P@_mask, s0, g->low, g->high);
                @U@_CLAMP(@P@_vector, @P@_mask, s1, g->low, g->high);
                *(@P@_vector *)(to + c) = s0;
                *(@P@_vector *)(to + c + @U@_WIDE) = s1;
            }
#endif
            for (; c < g->channels; c++) {
                float s = b[c];
                for (int t = 0; t < g->taps; t++) s += from[g->tap[t] + c] * w[t * g->channels + c];
                to[c] = s < g->low ? g->low : s > g->high ? g->high : s;
            }
        }
    }
}
