/* y += x W: n numbers, `step` apart, times a matrix [n][m]; four rows at a time. */
static void @P@_accumulate(const float *x, ptrdiff_t step, int n, const float *w, int m, float *restrict y)
{
    int i = 0;
    for (; i + 4 <= n; i += 4, w += (ptrdiff_t)4 * m) {
        const float a = x[i * step], b = x[(i + 1) * step], c = x[(i + 2) * step], d = x[(i + 3) * step];
        const float *w1 = w + m, *w2 = w1 + m, *w3 = w2 + m;
        for (int j = 0; j < m; j++) y[j] += a * w[j] + b * w1[j] + c * w2[j] + d * w3[j];
    }
    for (; i < n; i++, w += m) {
        const float a = x[i * step];
        for (int j = 0; j < m; j++) y[j] += a * w[j];
    }
}
