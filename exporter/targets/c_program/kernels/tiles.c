#if @U@_VECTOR
/* PARTS vectors of V for each of `count` pixels; a panel has `width` channels, `step` floats from one panel to the next;
 * `left` channels are stored. `ahead` is fetched into the cache meanwhile, `pace` floats for each k. */
#define @L@_TILE(NAME, V, WIDE, PARTS, PER_PANEL)                                                                 \
    @U@_INLINE void NAME(const @P@_conv *g, const @P@_tile *t, const @W@ *w, const float *b, int step, int width, \
                         int left, const @W@ *ahead, int pace, const int count, const int parts)                \
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
                    weight[v] = @V@(w + (v / PER_PANEL) * step + (v % PER_PANEL) * WIDE);                \
                __builtin_prefetch(ahead, 0, 2);                                                                  \
                @U@_UNROLL for (int m = 0; m < count; m++)                                                        \
                {                                                                                                 \
                    const float a = x[m][k];                                                                      \
                    @U@_UNROLL for (int v = 0; v < parts; v++) sum[m][v] += a * weight[v];                        \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
        if (left < parts * WIDE) {                                                                                \
            float rest[@MOST@][PARTS * WIDE];                                                                     \
            @U@_UNROLL for (int m = 0; m < count; m++)                                                            \
            {                                                                                                     \
                @U@_UNROLL for (int v = 0; v < parts; v++) *(V *)(rest[m] + v * WIDE) = sum[m][v];                \
            }                                                                                                     \
            for (int m = 0; m < count; m++) {                                                                     \
                for (int c = 0; c < left; c++) {                                                                  \
                    const float s = t->r[m] ? rest[m][c] + t->r[m][c] : rest[m][c];                               \
                    t->y[m][c] = s < g->low ? g->low : s > g->high ? g->high : s;                                 \
                }                                                                                                 \
            }                                                                                                     \
            return;                                                                                               \
        }                                                                                                         \
        if (t->r[0]) {                                                                                            \
            @U@_UNROLL for (int m = 0; m < count; m++)                                                            \
            {                                                                                                     \
                @U@_UNROLL for (int v = 0; v < parts; v++) sum[m][v] += *(const V *)(t->r[m] + v * WIDE);         \
            }                                                                                                     \
        }                                                                                                         \
        @U@_UNROLL for (int m = 0; m < count; m++)                                                                \
        {                                                                                                         \
            @U@_UNROLL for (int v = 0; v < parts; v++)                                                            \
                *(V *)(t->y[m] + v * WIDE) = V##_clamp(sum[m][v], g->low, g->high);                               \
        }                                                                                                         \
    }
@L@_TILE(@K@_tile_wide, @P@_vector, @U@_WIDE, @U@_PANELS * @U@_PANEL / @U@_WIDE, (@U@_PANEL / @U@_WIDE))
@L@_TILE(@K@_tile_narrow, @P@_vector4, 4, 3, 4)

#if @U@_PANELS > 1
#define @L@_MORE(COUNT)                                                                                    \
    else if (panels == 2) @K@_tile_wide(g, t, w, b, step, width, left, ahead, pace, COUNT, 2 * per);       \
    else @K@_tile_wide(g, t, w, b, step, width, left, ahead, pace, COUNT, 3 * per);
#else
#define @L@_MORE(COUNT) (void)panels;
#endif
#define @L@_TILES(COUNT)                                                                                          \
    static __attribute__((noinline)) void @K@_tiles_##COUNT(const @P@_conv *g, const @P@_tile *t, const @W@ *w, \
                                                            const float *b, int width, int panels, int left,      \
                                                            const @W@ *ahead, int pace)                         \
    {                                                                                                             \
        const int step = g->taps * g->run * @U@_PANEL, per = @U@_PANEL / @U@_WIDE;                                \
        if (width == @U@_PANEL) {                                                                                 \
            if (panels == 1 || @U@_PANELS == 1) @K@_tile_wide(g, t, w, b, step, width, left, ahead, pace, COUNT, per);               \
            @L@_MORE(COUNT)                                                                                       \
        } else if (width == 12) @K@_tile_narrow(g, t, w, b, step, width, left, ahead, pace, COUNT, 3);            \
        else if (width == 8) @K@_tile_narrow(g, t, w, b, step, width, left, ahead, pace, COUNT, 2);               \
        else @K@_tile_narrow(g, t, w, b, step, width, left, ahead, pace, COUNT, 1);                               \
    }
@L@_TILES(1)
@L@_TILES(2)
@L@_TILES(3)
#if @U@_PIXELS > 3
@L@_TILES(4)
@L@_TILES(5)
@L@_TILES(6)
#endif
#if @U@_PIXELS > 6
@L@_TILES(7)
@L@_TILES(8)
@L@_TILES(9)
#endif

static void @K@_tiles(const @P@_conv *g, const @P@_tile *t, int count, const @W@ *w, const float *b, int width,
                      int panels, int left, const @W@ *ahead, int pace)
{
    switch (count) {
    case 1: @K@_tiles_1(g, t, w, b, width, panels, left, ahead, pace); break;
    case 2: @K@_tiles_2(g, t, w, b, width, panels, left, ahead, pace); break;
    case 3: @K@_tiles_3(g, t, w, b, width, panels, left, ahead, pace); break;
#if @U@_PIXELS > 3
    case 4: @K@_tiles_4(g, t, w, b, width, panels, left, ahead, pace); break;
    case 5: @K@_tiles_5(g, t, w, b, width, panels, left, ahead, pace); break;
    case 6: @K@_tiles_6(g, t, w, b, width, panels, left, ahead, pace); break;
#endif
#if @U@_PIXELS > 6
    case 7: @K@_tiles_7(g, t, w, b, width, panels, left, ahead, pace); break;
    case 8: @K@_tiles_8(g, t, w, b, width, panels, left, ahead, pace); break;
    case 9: @K@_tiles_9(g, t, w, b, width, panels, left, ahead, pace); break;
#endif
    default: break;
    }
}
#else
/* Two pixels times four channels in registers, for processors without vectors. */
static void @K@_tiles(const @P@_conv *g, const @P@_tile *t, int count, const @W@ *w, const float *b, int width,
                      int panels, int left, const @W@ *ahead, int pace)
{
    const int second = count > 1;
    (void)panels, (void)ahead, (void)pace;
    for (int n = 0; n < width && n < left; n += 4) {
        float s00 = b[n], s01 = b[n + 1], s02 = b[n + 2], s03 = b[n + 3];
        float s10 = s00, s11 = s01, s12 = s02, s13 = s03;
        const @W@ *p = w + n;
        for (int i = 0; i < g->taps; i++) {
            const float *x0 = t->x[0] + g->tap[i], *x1 = t->x[second] + g->tap[i];
            const float *end = x0 + g->run;
            for (; x0 < end; x0++, x1++, p += width) {
                const float a0 = *x0, a1 = *x1, w0 = @S@p[0]@E@, w1 = @S@p[1]@E@, w2 = @S@p[2]@E@, w3 = @S@p[3]@E@;
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

/* `count` pixels of the output from one on; where the next one is. */
typedef struct {
    int col;
    ptrdiff_t x, r, y;
} @K@_place;

static @K@_place @K@_tile_at(const @P@_conv *g, @K@_place at, int count, const float *x, const float *r, float *y,
                             @P@_tile *t)
{
    for (int m = 0; m < count; m++) {
        t->x[m] = x + at.x, t->y[m] = y + at.y, t->r[m] = r ? r + at.r : NULL;
        at.x += g->x_col, at.r += g->r_col, at.y += g->y_col;
        if (++at.col == g->cols) {
            at.col = 0;
            at.x += g->x_row - (ptrdiff_t)g->cols * g->x_col;
            at.r += g->r_row - (ptrdiff_t)g->cols * g->r_col;
            at.y += g->y_row - (ptrdiff_t)g->cols * g->y_col;
        }
    }
    return at;
}

/* All channels of some pixels, then of the next ones: for weights that stay in the cache nearest to the processor. */
static void @K@_convolve_few(const @P@_conv *g, const float *x, const @W@ *w, const float *b, const float *r, float *y)
{
    const int pixels = g->rows * g->cols, depth = g->taps * g->run;
    const int tiles = (pixels + @U@_PIXELS - 1) / @U@_PIXELS;
    @K@_place at = {0, 0, 0, 0};
    for (int i = 0, done = 0; i < tiles; i++) {
        const int count = (int)((ptrdiff_t)pixels * (i + 1) / tiles) - done;
        @P@_tile t;
        at = @K@_tile_at(g, at, count, x, r, y, &t);
        for (int n = 0; n < g->channels;) {
            const int left = g->channels - n, width = left < @U@_PANEL ? (left + 3) / 4 * 4 : @U@_PANEL;
            const @W@ *panel = w + (ptrdiff_t)n * depth;
            @K@_tiles(g, &t, count, panel, b + n, width, 1, left, panel, 0);
            n += width;
            for (int m = 0; m < count && n < g->channels; m++) {
                t.y[m] += width;
                if (r) t.r[m] += width;
            }
        }
        done += count;
    }
}

/* y = clamp(x convolved with w + b + r); r may be NULL, or y itself. */
static void @K@_convolve(const @P@_conv *g, const float *x, const @W@ *w, const float *b, const float *r, float *y)
{
    const int pixels = g->rows * g->cols, depth = g->taps * g->run;
    if (!g->block) @K@_convolve_few(g, x, w, b, r, y);
    for (int begin = 0; g->block && begin < pixels; begin += g->block) {
        const int size = pixels - begin < g->block ? pixels - begin : g->block;
        const int tiles = (size + @U@_PIXELS - 1) / @U@_PIXELS;
        const ptrdiff_t row = begin / g->cols, col = begin % g->cols;
        const @K@_place first = {(int)col, row * g->x_row + col * g->x_col, row * g->r_row + col * g->r_col,
                                 row * g->y_row + col * g->y_col};
        for (int n = 0; n < g->channels;) {
            const int left = g->channels - n, full = left / @U@_PANEL;
            const int panels = full < 1 ? 1 : full < @U@_PANELS ? full : @U@_PANELS;
            const int width = left < @U@_PANEL ? (left + 3) / 4 * 4 : @U@_PANEL, next = n + panels * width;
            const @W@ *panel = w + (ptrdiff_t)n * depth, *ahead = panel;
            const int pace = next < g->channels && g->block >= pixels ? (panels * width + tiles - 1) / tiles : 0;
            @K@_place at = first;
            if (pace) ahead = w + (ptrdiff_t)next * depth;
            for (int i = 0, done = 0; i < tiles; i++) {
                const int count = (int)((ptrdiff_t)size * (i + 1) / tiles) - done;
                @P@_tile t;
                at = @K@_tile_at(g, at, count, x, r ? r + n : NULL, y + n, &t);
                @K@_tiles(g, &t, count, panel, b + n, width, panels, left, ahead, pace);
                done += count;
                ahead += pace * depth;
            }
            n = next;
        }
    }
}
