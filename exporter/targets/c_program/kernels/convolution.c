/* Convolutions and dense layers. x, y and r are rows of pixels of channels; a pixel of the output is the sum over the
 * taps of runs of numbers that lie one after another in x, each times its weight. Weights are packed in panels of
 * @PANEL@ output channels (the last one of a multiple of 4): for each panel [taps * run][channels of the panel]. */
typedef struct {
    int rows, cols, taps, run, channels;       /* of the output; numbers in a run */
    int x_row, x_col, y_row, y_col, r_row, r_col; /* floats from one output pixel to the next */
    int block;                                 /* pixels whose input stays in the cache; 0: all weights do */
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

#if !@U@_VECTOR
#define @U@_PIXELS 2
#define @U@_PANELS 1

static float @P@_inside(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}
#endif
