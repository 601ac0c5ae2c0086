/* Convolutions and dense layers. x, y and r are rows of pixels of channels; a pixel of the output is the sum over the
 * taps of runs of numbers that lie one after another in x, each times its weight. Weights are packed in panels of
 * @PANEL@ output channels (the last one of a multiple of 4): for each panel [taps * run][channels of the panel]. */
typedef struct {
    int rows, cols, taps, run, channels;       /* of the output; numbers in a run */
    int x_row, x_col, y_row, y_col, r_row, r_col; /* floats from one output pixel to the next */
    int block;                                 /* pixels whose input stays in the cache */
    const int *tap;                            /* where each run begins */
    float low, high;                           /* what the result is clamped to */
} @P@_conv;

#define @U@_PANEL @PANEL@

/* One tile: `count` pixels times one panel or more. Sums stay in registers: the loops over them are unrolled. */
typedef struct {
    const float *x[@MOST@];
    const float *r[@MOST@];
    float *y[@MOST@];
} @P@_tile;

#if @U@_VECTOR
/* PARTS vectors of V for each of `count` pixels; a panel has `width` channels, `step` floats from one panel to the next;
 * `left` channels are stored. `ahead` is fetched into the cache meanwhile, `pace` floats for each k. */
#define @U@_TILE(NAME, V, M, WIDE, PARTS, PER_PANEL)                                                              \
    @U@_INLINE void NAME(const @P@_conv *g, const @P@_tile *t, const float *w, const float *b, int step, int width, \
                         int left, const float *ahead, int pace, const int count, const int parts)                \
    {                                                                                                             \
        V sum[@MOST@][PARTS];                                                                                     \
        const float *x[@MOST@];                                                                                   \
        @U@_UNROLL for (int m = 0; m < count; m++)                                                                \
        {                                                                                                         \
            x[m] = t->x[m];                                                                                       \
            @U@_UNROLL for (int v = 0; v < parts; v++) sum[m][v] = *(const V *)(b + v * WIDE);                    \
        }                                                                                                         \
        for (int i = 0; i < g->taps; i++) {                                                                       \
            const int from = g->tap[i];                                                                           \
            for (int k = from; k < from + g->run; k++, w += width, ahead += pace) {                               \
                V weight[PARTS];                                                                                  \
                @U@_UNROLL for (int v = 0; v < parts; v++)                                                        \
                    weight[v] = *(const V *)(w + (v / PER_PANEL) * step + (v % PER_PANEL) * WIDE);                \
                __builtin_prefetch(ahead, 0, 2);                                                                  \
                @U@_UNROLL for (int m = 0; m < count; m++)                                                        \
                {                                                                                                 \
                    const float a = x[m][k];                                                                      \
                    @U@_UNROLL for (int v = 0; v < parts; v++) sum[m][v] += a * weight[v];                        \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
        const int clamp = !(g->low < -3e38f && g->high > 3e38f);                                                  \
        @U@_UNROLL for (int m = 0; m < count; m++)                                                                \
        {                                                                                                         \
            @U@_UNROLL for (int v = 0; v < parts; v++)                                                            \
            {                                                                                                     \
                V s = sum[m][v];                                                                                  \
                const int n = left - v * WIDE;                                                                    \
                if (n >= WIDE) {                                                                                  \
                    if (t->r[m]) s += *(const V *)(t->r[m] + v * WIDE);                                           \
                    if (clamp) @U@_CLAMP(V, M, s, g->low, g->high);                                               \
                    *(V *)(t->y[m] + v * WIDE) = s;                                                               \
                } else if (n > 0) {                                                                               \
                    V more = (V){0};                                                                              \
                    if (t->r[m]) memcpy(&more, t->r[m] + v * WIDE, (size_t)n * sizeof(float));                    \
                    s += more;                                                                                    \
                    if (clamp) @U@_CLAMP(V, M, s, g->low, g->high);                                               \
                    memcpy(t->y[m] + v * WIDE, &s, (size_t)n * sizeof(float));                                    \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }
@U@_TILE(@P@_tile_wide, @P@_vector, @P@_mask, @U@_WIDE, @U@_PANELS * @U@_PANEL / @U@_WIDE, (@U@_PANEL / @U@_WIDE))
@U@_TILE(@P@_tile_narrow, @P@_vector4, @P@_mask4, 4, 3, 4)

#if @U@_PANELS > 1
#define @U@_MORE(COUNT)                                                                                    \
    else if (panels == 2) @P@_tile_wide(g, t, w, b, step, width, left, ahead, pace, COUNT, 2 * per);       \
    else @P@_tile_wide(g, t, w, b, step, width, left, ahead, pace, COUNT, 3 * per);
#else
#define @U@_MORE(COUNT) (void)panels;
#endif
#define @U@_TILES(COUNT)                                                                                          \
    static __attribute__((noinline)) void @P@_tiles_##COUNT(const @P@_conv *g, const @P@_tile *t, const float *w, \
                                                            const float *b, int width, int panels, int left,      \
                                                            const float *ahead, int pace)                         \
    {                                                                                                             \
        const int step = g->taps * g->run * @U@_PANEL, per = @U@_PANEL / @U@_WIDE;                                \
        if (width == @U@_PANEL) {                                                                                 \
            if (panels == 1 || @U@_PANELS == 1) @P@_tile_wide(g, t, w, b, step, width, left, ahead, pace, COUNT, per);               \
            @U@_MORE(COUNT)                                                                                       \
        } else if (width == 12) @P@_tile_narrow(g, t, w, b, step, width, left, ahead, pace, COUNT, 3);            \
        else if (width == 8) @P@_tile_narrow(g, t, w, b, step, width, left, ahead, pace, COUNT, 2);               \
        else @P@_tile_narrow(g, t, w, b, step, width, left, ahead, pace, COUNT, 1);                               \
    }
@U@_TILES(1)
@U@_TILES(2)
@U@_TILES(3)
#if @U@_PIXELS > 3
@U@_TILES(4)
@U@_TILES(5)
@U@_TILES(6)
#endif
#if @U@_PIXELS > 6
@U@_TILES(7)
@U@_TILES(8)
@U@_TILES(9)
#endif

static void @P@_tiles(const @P@_conv *g, const @P@_tile *t, int count, const float *w, const float *b, int width,
                      int panels, int left, const float *ahead, int pace)
{
    switch (count) {
    case 1: @P@_tiles_1(g, t, w, b, width, panels, left, ahead, pace); break;
    case 2: @P@_tiles_2(g, t, w, b, width, panels, left, ahead, pace); break;
    case 3: @P@_tiles_3(g, t, w, b, width, panels, left, ahead, pace); break;
#if @U@_PIXELS > 3
    case 4: @P@_tiles_4(g, t, w, b, width, panels, left, ahead, pace); break;
    case 5: @P@_tiles_5(g, t, w, b, width, panels, left, ahead, pace); break;
    case 6: @P@_tiles_6(g, t, w, b, width, panels, left, ahead, pace); break;
#endif
#if @U@_PIXELS > 6
    case 7: @P@_tiles_7(g, t, w, b, width, panels, left, ahead, pace); break;
    case 8: @P@_tiles_8(g, t, w, b, width, panels, left, ahead, pace); break;
    case 9: @P@_tiles_9(g, t, w, b, width, panels, left, ahead, pace); break;
#endif
    default: break;
    }
}
#else
#define @U@_PIXELS 2
#define @U@_PANELS 1

static float @P@_inside(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* Two pixels times four channels in registers, for processors without vectors. */
static void @P@_tiles(const @P@_conv *g, const @P@_tile *t, int count, const float *w, const float *b, int width,
                      int panels, int left, const float *ahead, int pace)
{
    const int second = count > 1;
    (void)panels, (void)ahead, (void)pace;
    for (int n = 0; n < width && n < left; n += 4) {
        float s00 = b[n], s01 = b[n + 1], s02 = b[n + 2], s03 = b[n + 3];
        float s10 = s00, s11 = s01, s12 = s02, s13 = s03;
        const float *p = w + n;
        for (int i = 0; i < g->taps; i++) {
            const float *x0 = t->x[0] + g->tap[i], *x1 = t->x[second] + g->tap[i];
            const float *end = x0 + g->run;
            for (; x0 < end; x0++, x1++, p += width) {
                const float a0 = *x0, a1 = *x1, w0 = p[0], w1 = p[1], w2 = p[2], w3 = p[3];
                s00 += a0 * w0, s01 += a0 * w1, s02 += a0 * w2, s03 += a0 * w3;
                s10 += a1 * w0, s11 += a1 * w1, s12 += a1 * w2, s13 += a1 * w3;
            }
        }
        const float sums[2][4] = {{s00, s01, s02, s03}, {s10, s11, s12, s13}};
        for (int m = 0; m <= second; m++) {
            for (int c = 0; c < 4 && n + c < left; c++) {
                const float s = sums[m][c] + (t->r[m] ? t->r[m][n + c] : 0.0f);
                t->y[m][n + c] = @P@_inside(s, g->low, g->high);
            }
        }
    }
}
#endif

/* y = clamp(x convolved with w + b + r); r may be NULL, or y itself. */
static void @P@_convolve(const @P@_conv *g, const float *x, const float *w, const float *b, const float *r, float *y)
{
    const int pixels = g->rows * g->cols, depth = g->taps * g->run;
    for (int begin = 0; begin < pixels; begin += g->block) {
        const int size = pixels - begin < g->block ? pixels - begin : g->block;
        const int tiles = (size + @U@_PIXELS - 1) / @U@_PIXELS;
        for (int n = 0; n < g->channels;) {
            const int left = g->channels - n, full = left / @U@_PANEL;
            const int panels = full < 1 ? 1 : full < @U@_PANELS ? full : @U@_PANELS;
            const int width = left < @U@_PANEL ? (left + 3) / 4 * 4 : @U@_PANEL, next = n + panels * width;
            const float *panel = w + (ptrdiff_t)n * depth, *ahead = panel;
            const int pace = next < g->channels && g->block >= pixels ? (panels * width + tiles - 1) / tiles : 0;
            int row = begin / g->cols, col = begin % g->cols, done = 0;
            if (pace) ahead = w + (ptrdiff_t)next * depth;
            for (int i = 0; i < tiles; i++) {
                const int count = (int)((ptrdiff_t)size * (i + 1) / tiles) - done;
                @P@_tile t;
                for (int m = 0; m < count; m++) {
                    t.x[m] = x + (ptrdiff_t)row * g->x_row + col * g->x_col;
                    t.y[m] = y + (ptrdiff_t)row * g->y_row + col * g->y_col + n;
                    t.r[m] = r ? r + (ptrdiff_t)row * g->r_row + col * g->r_col + n : NULL;
                    if (++col == g->cols) col = 0, row++;
                }
                @P@_tiles(g, &t, count, panel, b + n, width, panels, left, ahead, pace);
                done += count;
                ahead += pace * depth;
            }
            n = next;
        }
    }
}
