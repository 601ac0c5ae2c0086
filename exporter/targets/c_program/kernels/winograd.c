/* 3 x 3 convolutions of stride 1 by Winograd's F(4 x 4, 3 x 3): tiles of 6 x 6 inputs become 36 numbers for each
 * channel, 36 products of matrices are made of them, and these become tiles of 4 x 4 outputs. */
typedef struct {
    int across, tiles, rows, cols, inputs, outputs;
    int x_row, x_col, y_row, y_col, r_row, r_col;
    int block; /* tiles at a time */
    float low, high;
} @P@_wino;

#define @U@_SPREAD(a, o)                                      \
    o[0] = 4.0f * a[0] - 5.0f * a[2] + a[4];                  \
    o[1] = a[3] + a[4] - 4.0f * (a[1] + a[2]);                \
    o[2] = a[4] - a[3] + 4.0f * (a[1] - a[2]);                \
    o[3] = a[4] - a[2] + 2.0f * (a[3] - a[1]);                \
    o[4] = a[4] - a[2] + 2.0f * (a[1] - a[3]);                \
    o[5] = 4.0f * a[1] - 5.0f * a[3] + a[5];
#define @U@_GATHER(a, o)                                      \
    o[0] = a[0] + a[1] + a[2] + a[3] + a[4];                  \
    o[1] = a[1] - a[2] + 2.0f * (a[3] - a[4]);                \
    o[2] = a[1] + a[2] + 4.0f * (a[3] + a[4]);                \
    o[3] = a[1] - a[2] + 8.0f * (a[3] - a[4]) + a[5];

static void @P@_spread(const @P@_wino *g, const float *x, float *v, int plane)
{
    for (int c = 0; c < g->inputs; c += @U@_WIDE) {
        @P@_vector t[6][6];
        for (int j = 0; j < 6; j++) {
            @P@_vector a[6], o[6];
            for (int i = 0; i < 6; i++) a[i] = *(const @P@_vector *)(x + i * g->x_row + j * g->x_col + c);
            @U@_SPREAD(a, o)
            for (int i = 0; i < 6; i++) t[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            @P@_vector o[6];
            @U@_SPREAD(t[i], o)
            for (int j = 0; j < 6; j++) *(@P@_vector *)(v + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

static void @P@_gather(const @P@_wino *g, const float *m, int plane, const float *b, const float *r, float *y, int rows,
                       int cols)
{
    for (int c = 0; c < g->outputs; c += @U@_WIDE) {
        @P@_vector t[4][6];
        for (int j = 0; j < 6; j++) {
            @P@_vector a[6], o[4];
            for (int i = 0; i < 6; i++) a[i] = *(const @P@_vector *)(m + (i * 6 + j) * plane + c);
            @U@_GATHER(a, o)
            for (int i = 0; i < 4; i++) t[i][j] = o[i];
        }
        for (int i = 0; i < rows; i++) {
            @P@_vector o[4];
            @U@_GATHER(t[i], o)
            for (int j = 0; j < cols; j++) {
                @P@_vector s = o[j] + *(const @P@_vector *)(b + c);
                if (r) s += *(const @P@_vector *)(r + i * g->r_row + j * g->r_col + c);
                s = @P@_vector_clamp(s, g->low, g->high);
                *(@P@_vector *)(y + i * g->y_row + j * g->y_col + c) = s;
            }
        }
    }
}

/* u: the spread kernels, 36 times [inputs][outputs] in panels; none: zeros for the products' bias. */
static void @P@_winograd(const @P@_wino *g, const float *x, const float *u, const float *b, const float *none,
                         const float *r, float *y, float *scratch)
{
    static const int tap[] = {0};
    const int deep = g->inputs + 16, wide = g->outputs + 16;
    for (int first = 0; first < g->tiles; first += g->block) {
        const int count = g->tiles - first < g->block ? g->tiles - first : g->block;
        float *v = scratch, *m = scratch + 36 * count * deep;
        const @P@_conv product = {1, count, 1, g->inputs, g->outputs, 0, deep, 0, wide, 0, 0, count, tap,
                                  -INFINITY, INFINITY};
        for (int t = 0; t < count; t++) {
            const int i = (first + t) / g->across * 4, j = (first + t) % g->across * 4;
            @P@_spread(g, x + (ptrdiff_t)i * g->x_row + j * g->x_col, v + t * deep, count * deep);
        }
        for (int e = 0; e < 36; e++)
            @P@_convolve(&product, v + e * count * deep, u + (ptrdiff_t)e * g->inputs * g->outputs, none, NULL,
                         m + e * count * wide);
        for (int t = 0; t < count; t++) {
            const int i = (first + t) / g->across * 4, j = (first + t) % g->across * 4;
            @P@_gather(g, m + t * wide, count * wide, b, r ? r + (ptrdiff_t)i * g->r_row + j * g->r_col : NULL,
                       y + (ptrdiff_t)i * g->y_row + j * g->y_col, g->rows - i < 4 ? g->rows - i : 4,
                       g->cols - j < 4 ? g->cols - j : 4);
        }
    }
}
