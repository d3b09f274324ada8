/* SPDX-License-Identifier: Apache-2.0 */
/* conv_winograd: convolutions of 3 x 3 taps and stride 1 between many channels, and their gradients, by Winograd's
 * minimal filtering F(2 x 2, 3 x 3) as Lavin & Gray, CVPR 2016, have it: of a patch of 4 x 4 pixels d and a filter g,
 *   y = A' [(G g G') * (B' d B)] A
 * is 2 x 2 results for 16 products where the sum over taps takes 36. Products of one of the 16 points over all channels
 * are those of a matrix: [tiles][C] by [C][O], the panels attention is made of. A few tiles go through all three steps
 * while they are in the second-level cache. The image's gradient is the same with the filter turned round; the weight's
 * is that of the formula, G' [sum over tiles of (B' d B) * (A dy A')] G. Every number is a chain over channels (of the
 * weight: over tiles), so its bits do not depend on which tiles are worked on together. */
#include "cpu/finish.h"
#include "cpu/panel.h"
#include "ops/conv2d.h"
#include "ops/conv2d_grad_input.h"
#include "ops/conv2d_grad_weight.h"

enum {
  SIDE = 4, /* of a patch */
  STEP = 2, /* results along each side of it */
  POINTS = SIDE * SIDE,
  TAPS = 9,
  TILES = 32,              /* worked on together */
  CHANNELS = 16,           /* of both sides, a multiple of this: whole vectors at any level */
  MOST_WEIGHT = 256 * 256, /* of both: 4 MiB of turned weight, read from far for each few tiles */
  LEAST_TILES = 32,        /* what turning the weight costs, at the least, is little to these */
  TURN_CHANNEL = 48,       /* turning a tile, there and back, in multiply-adds: a channel of either side */
  TURN_TILE = 1600,        /* and apart from these */
};

/* From an image to results, whichever way. */
typedef struct layer {
  int64_t n, h, w, c; /* image */
  int64_t oh, ow, o;  /* results */
  int64_t ph, pw;
  int64_t across, each, tiles; /* tiles of a row, of an image, of all */
} layer;

static layer complete(layer l) {
  l.across = fv_ceil_div(l.ow, STEP);
  l.each = fv_ceil_div(l.oh, STEP) * l.across;
  l.tiles = l.n * l.each;
  return l;
}

static layer forward(const fv_conv_geometry *q) {
  return complete((layer){
      .n = q->n, .h = q->h, .w = q->w, .c = q->c, .oh = q->oh, .ow = q->ow, .o = q->o, .ph = q->ph, .pw = q->pw});
}
static layer backward(const fv_conv_geometry *q) {
  return complete((layer){.n = q->n,
                          .h = q->oh,
                          .w = q->ow,
                          .c = q->o,
                          .oh = q->h,
                          .ow = q->w,
                          .o = q->c,
                          .ph = 2 - q->ph,
                          .pw = 2 - q->pw});
}

/* Taps inside the image, of all results along one side. */
static int64_t inside(int64_t results, int64_t pad, int64_t pixels) {
  int64_t taps = 0;
  for (int64_t i = 0; i < results; i++) taps += FV_MIN(i - pad + 3, pixels) - FV_MAX(i - pad, 0);
  return taps;
}

/* Whether this is faster than the plain sums, which oneDNN takes at nearly the ceiling and without those of padding. */
static bool worth(const fv_node *n, const fv_conv_geometry *q, const layer *l) {
  const bool square = q->kh == 3 && q->kw == 3 && q->sh == 1 && q->sw == 1 && q->dh == 1 && q->dw == 1;
  if (n->in[0]->dtype != FV_F32 || !square || q->groups != 1 || q->ph > 2 || q->pw > 2) return false;
  if (l->c % CHANNELS || l->o % CHANNELS || l->c * l->o > MOST_WEIGHT || l->tiles < LEAST_TILES) return false;
  const double turning = TURN_CHANNEL * (double)(l->c + l->o) + TURN_TILE, pairs = (double)(l->c * l->o);
  const double plain = (double)(l->n * inside(l->oh, l->ph, l->h) * inside(l->ow, l->pw, l->w)) * pairs;
  return 1.1 * (double)l->tiles * (POINTS * pairs + turning) < plain;
}

/* Points lie this far apart: `width` channels a tile; a line more, or all would fall upon each other in the cache. */
static int64_t pitch(int64_t width) { return TILES * width + 64 / (int64_t)sizeof(float); }

typedef struct room {
  float *zeros, *patches, *results, *weight;
} room;

static int64_t room_of(const layer *l, float *at, room *r) {
  const int64_t size[] = {l->c, POINTS * pitch(l->c), POINTS * pitch(l->o), POINTS * l->c * l->o};
  float **const of[] = {&r->zeros, &r->patches, &r->results, &r->weight};
  int64_t used = 0;
  for (size_t i = 0; i < FV_COUNT(size); used += size[i++]) *of[i] = at ? at + used : NULL;
  return used * (int64_t)sizeof(float);
}

/* What a node's functions begin with: where its image, results and weight are, and which way it goes. */
#define LAYER(of, image, maps, weight, direction)                                            \
  static fv_conv_geometry of##_geometry(const fv_node *n) {                                  \
    return fv_conv_geometry_of(n->attrs, n->image->shape, n->maps->shape, n->weight->shape); \
  }                                                                                          \
  static layer of##_layer(const fv_node *n) {                                                \
    const fv_conv_geometry q = of##_geometry(n);                                             \
    return direction(&q);                                                                    \
  }                                                                                          \
  static bool of##_can(const fv_node *n) {                                                   \
    const fv_conv_geometry q = of##_geometry(n);                                             \
    const layer l = direction(&q);                                                           \
    return worth(n, &q, &l);                                                                 \
  }                                                                                          \
  static int64_t of##_scratch(const fv_node *n) {                                            \
    const layer l = of##_layer(n);                                                           \
    return room_of(&l, NULL, &(room){0});                                                    \
  }
LAYER(conv, in[0], out[0], in[1], forward)
LAYER(input, out[0], in[0], in[1], backward)
LAYER(weight, in[0], in[1], out[0], forward)

/* Of result o: how wide its panel is, the last one half as wide where results are an odd number of vectors. */
static inline int64_t panel(const layer *l, int64_t o) { return FV_MIN(FV_PANEL, l->o - o / FV_PANEL * FV_PANEL); }

/* ---- turning ----------------------------------------------------------------------------------------------------- */
/* B' d, A' m and A y, along one side. */
#define PATCH(d0, d1, d2, d3, t) t[0] = d0 - d2, t[1] = d1 + d2, t[2] = d2 - d1, t[3] = d1 - d3
#define NARROW(m, y0, y1) y0 = m[0] + m[1] + m[2], y1 = m[1] - m[2] - m[3]
#define WIDEN(y0, y1, t) t[0] = y0, t[1] = y0 + y1, t[2] = y0 - y1, t[3] = -y1

static inline int64_t tile_y(const layer *l, int64_t tile) { return tile % l->each / l->across * STEP; }
static inline int64_t tile_x(const layer *l, int64_t tile) { return tile % l->across * STEP; }
static inline int64_t result_at(const layer *l, int64_t tile) { /* the first of its results */
  return ((tile / l->each * l->oh + tile_y(l, tile)) * l->ow + tile_x(l, tile)) * l->o;
}

/* Of channels side by side, to[point][channel]; pixels outside the image are zeros. */
static void turn_patch(const layer *l, const float *image, int64_t tile, const float *zeros, float *to) {
  const int64_t y0 = tile_y(l, tile) - l->ph, x0 = tile_x(l, tile) - l->pw, step = pitch(l->c);
  const float *at[POINTS];
  image += tile / l->each * l->h * l->w * l->c;
  for (int64_t i = 0; i < SIDE; i++)
    for (int64_t j = 0; j < SIDE; j++) {
      const bool inside = y0 + i >= 0 && y0 + i < l->h && x0 + j >= 0 && x0 + j < l->w;
      at[i * SIDE + j] = inside ? image + ((y0 + i) * l->w + x0 + j) * l->c : zeros;
    }
  for (int64_t c = 0; c < l->c; c += FV_W) {
    fv_f32v t[SIDE][SIDE], u[SIDE];
#pragma GCC unroll 4
    for (int j = 0; j < SIDE; j++) {
      PATCH(fv_vload(at[j] + c), fv_vload(at[SIDE + j] + c), fv_vload(at[2 * SIDE + j] + c),
            fv_vload(at[3 * SIDE + j] + c), u);
#pragma GCC unroll 4
      for (int i = 0; i < SIDE; i++) t[i][j] = u[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < SIDE; i++) {
      PATCH(t[i][0], t[i][1], t[i][2], t[i][3], u);
#pragma GCC unroll 4
      for (int j = 0; j < SIDE; j++) fv_vstore(to + (i * SIDE + j) * step + c, u[j]);
    }
  }
}

/* What is done to a tile's results, and where they go. */
typedef struct finish {
  const float *bias, *residual; /* NULL: none */
  int64_t act;
  float *y;
} finish;

static void turn_back(const layer *l, const float *from, int64_t tile, const finish *f) {
  const int64_t step = pitch(l->o), first = result_at(l, tile);
  const bool below = tile_y(l, tile) + 1 < l->oh, beside = tile_x(l, tile) + 1 < l->ow;
  for (int64_t o = 0; o < l->o; o += FV_W) {
    const fv_f32v bias = f->bias ? fv_vload(f->bias + o) : fv_vzero();
    float *y = f->y + first + o;
    fv_f32v s[STEP][SIDE], r[STEP];
#pragma GCC unroll 4
    for (int j = 0; j < SIDE; j++) {
      fv_f32v m[SIDE];
#pragma GCC unroll 4
      for (int i = 0; i < SIDE; i++) m[i] = fv_vload(from + (i * SIDE + j) * step + o);
      NARROW(m, s[0][j], s[1][j]);
    }
    NARROW(s[0], r[0], r[1]);
    fv_vstore(y, r[0] + bias);
    if (beside) fv_vstore(y + l->o, r[1] + bias);
    if (!below) continue;
    NARROW(s[1], r[0], r[1]);
    fv_vstore(y + l->ow * l->o, r[0] + bias);
    if (beside) fv_vstore(y + (l->ow + 1) * l->o, r[1] + bias);
  }
  for (int i = 0; i <= below; i++) {
    const int64_t at = first + i * l->ow * l->o;
    fv_finish(f->act, f->residual ? f->residual + at : NULL, f->y + at, (1 + beside) * l->o);
  }
}

/* Of a tile's gradients; those outside are zeros. */
static void widen(const layer *l, const float *dy, int64_t tile, float *to) {
  const int64_t y = tile_y(l, tile), x = tile_x(l, tile), step = pitch(l->o);
  const bool below = y + 1 < l->oh, beside = x + 1 < l->ow;
  const float *at = dy + result_at(l, tile);
  for (int64_t o = 0; o < l->o; o += FV_W, at += FV_W) {
    const fv_f32v d[STEP][STEP] = {{fv_vload(at), beside ? fv_vload(at + l->o) : fv_vzero()},
                                   {below ? fv_vload(at + l->ow * l->o) : fv_vzero(),
                                    below && beside ? fv_vload(at + (l->ow + 1) * l->o) : fv_vzero()}};
    fv_f32v t[STEP][SIDE], u[SIDE];
#pragma GCC unroll 2
    for (int j = 0; j < STEP; j++) WIDEN(d[0][j], d[1][j], t[j]);
#pragma GCC unroll 4
    for (int i = 0; i < SIDE; i++) {
      WIDEN(t[0][i], t[1][i], u);
#pragma GCC unroll 4
      for (int j = 0; j < SIDE; j++) fv_vstore(to + (i * SIDE + j) * step + o, u[j]);
    }
  }
}

/* ---- the weight -------------------------------------------------------------------------------------------------- */
/* w [O,C,3,3] as [point][panel of results][channel][result]; `round`: results are C, channels O, and taps turned. */
static void turn_weight(const layer *l, bool round, const float *w, float *to) {
  const int64_t c_step = round ? l->o * TAPS : TAPS, o_step = round ? TAPS : l->c * TAPS;
  const fv_f32v half = fv_vsplat(0.5f);
  for (int64_t o = 0; o < l->o; o += FV_W)
    for (int64_t c = 0; c < l->c; c++) {
      float g[TAPS][FV_W];
      fv_f32v t[SIDE][3];
      for (int64_t k = 0; k < FV_W; k++)
        for (int i = 0; i < TAPS; i++) g[i][k] = w[c * c_step + (o + k) * o_step + (round ? TAPS - 1 - i : i)];
      for (int j = 0; j < 3; j++) {
        const fv_f32v a = fv_vload(g[j]), b = fv_vload(g[3 + j]), d = fv_vload(g[6 + j]);
        t[0][j] = a, t[1][j] = (a + b + d) * half, t[2][j] = (a - b + d) * half, t[3][j] = d;
      }
      float *at = to + o / FV_PANEL * FV_PANEL * l->c + c * panel(l, o) + o % FV_PANEL;
      for (int i = 0; i < SIDE; i++, at += SIDE * l->c * l->o) {
        const fv_f32v a = t[i][0], b = t[i][1], d = t[i][2],
                      *each = (fv_f32v[]){a, (a + b + d) * half, (a - b + d) * half, d};
        for (int j = 0; j < SIDE; j++) fv_vstore(at + j * l->c * l->o, each[j]);
      }
    }
}

/* sums [point][C][O] to dw [O,C,3,3]. */
static void turn_sums(const layer *l, const float *sums, float *dw) {
  const int64_t step = l->c * l->o;
  const fv_f32v half = fv_vsplat(0.5f);
  for (int64_t c = 0; c < l->c; c++)
    for (int64_t o = 0; o < l->o; o += FV_W) {
      const float *at = sums + c * l->o + o;
      fv_f32v t[3][SIDE];
      float g[TAPS][FV_W];
      for (int j = 0; j < SIDE; j++) {
        const fv_f32v b = fv_vload(at + (SIDE + j) * step), d = fv_vload(at + (2 * SIDE + j) * step);
        t[0][j] = fv_vload(at + j * step) + (b + d) * half;
        t[1][j] = (b - d) * half;
        t[2][j] = (b + d) * half + fv_vload(at + (3 * SIDE + j) * step);
      }
      for (int i = 0; i < 3; i++) {
        const fv_f32v b = t[i][1], d = t[i][2];
        fv_vstore(g[3 * i], t[i][0] + (b + d) * half);
        fv_vstore(g[3 * i + 1], (b - d) * half);
        fv_vstore(g[3 * i + 2], (b + d) * half + t[i][3]);
      }
      for (int64_t k = 0; k < FV_W; k++)
        for (int i = 0; i < TAPS; i++) dw[((o + k) * l->c + c) * TAPS + i] = g[i][k];
    }
}

/* ---- looking ahead ----------------------------------------------------------------------------------------------- */
/* What is read and written next is fetched beside the products: each line would be waited for. */
static int64_t read_until(const layer *l, int64_t tile) { /* the end of the image's rows that tiles to this one read */
  const int64_t rows = FV_MIN(FV_MAX(tile_y(l, tile) - l->ph + SIDE, 0), l->h);
  return (tile / l->each * l->h + rows) * l->w * l->c;
}
static void ahead_image(const layer *l, const float *image, int64_t first, fv_ahead *a) {
  if (first >= l->tiles) return;
  const int64_t begin = read_until(l, first - 1), end = read_until(l, FV_MIN(first + TILES, l->tiles) - 1);
  fv_ahead_add(a, image + begin, 0, 1, end - begin, false);
}
static void ahead_results(const layer *l, const float *y, int64_t first, bool write, fv_ahead *a) {
  if (first >= l->tiles) return;
  const int64_t begin = result_at(l, first), last = result_at(l, FV_MIN(first + TILES, l->tiles) - 1);
  const int64_t end = FV_MIN(last + (l->ow + STEP) * l->o, l->n * l->oh * l->ow * l->o);
  fv_ahead_add(a, y + begin, 0, 1, end - begin, write);
}
static void ahead_spread(const layer *l, int64_t rows, fv_ahead *a) { /* rows of each product */
  const int64_t panels = fv_ceil_div(l->o, FV_PANEL);
  a->quota = fv_ceil_div(fv_ahead_lines(a), POINTS * panels * fv_ceil_div(rows, FV_PANEL_ROWS));
}

/* ---- images to results ------------------------------------------------------------------------------------------- */
static void tiles_forward(const layer *l, const float *image, int64_t first, int64_t n, const room *r,
                          const float *weight, const finish *f) {
  fv_ahead ahead = {0};
  ahead_image(l, image, first + TILES, &ahead);
  ahead_results(l, f->y, first, true, &ahead);
  ahead_spread(l, n, &ahead);
  for (int64_t t = 0; t < n; t++) turn_patch(l, image, first + t, r->zeros, r->patches + t * l->c);
  for (int64_t p = 0; p < POINTS; p++)
    for (int64_t o = 0; o < l->o; o += FV_PANEL)
      fv_panel_run(&(fv_panel){.n = l->c,
                               .a = r->patches + p * pitch(l->c),
                               .a_row = l->c,
                               .a_step = 1,
                               .b = weight + (p * l->o + o) * l->c,
                               .b_step = panel(l, o),
                               .c = r->results + p * pitch(l->o) + o,
                               .c_row = l->o,
                               .ahead = &ahead},
                   (int)(panel(l, o) / FV_W), n);
  for (int64_t t = 0; t < n; t++) turn_back(l, r->results + t * l->o, first + t, f);
}

static void run_layer(const fv_call *c, const layer *l, bool round, const finish *f) {
  room r;
  room_of(l, c->scratch, &r);
  memset(r.zeros, 0, (size_t)l->c * sizeof(float));
  const float *weight = c->in[1].data;
  if (!(c->packed >> 1 & 1)) turn_weight(l, round, weight, r.weight), weight = r.weight;
  for (int64_t u = c->begin; u < c->end; u++)
    tiles_forward(l, c->in[0].data, u * TILES, FV_MIN(TILES, l->tiles - u * TILES), &r, weight, f);
}

#define PACKED(of, round)                                                                         \
  static int64_t of##_units(const fv_node *n) { return fv_ceil_div(of##_layer(n).tiles, TILES); } \
  static int64_t of##_packed(const fv_node *n, int i) {                                           \
    const layer l = of##_layer(n);                                                                \
    return i == 1 ? POINTS * l.c * l.o * (int64_t)sizeof(float) : 0;                              \
  }                                                                                               \
  static void of##_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {  \
    const layer l = of##_layer(n);                                                                \
    (void)i, (void)state;                                                                         \
    turn_weight(&l, round, src->data, dst);                                                       \
  }
PACKED(conv, false)
PACKED(input, true)

static void run_conv(const fv_call *c) {
  const layer l = conv_layer(c->node);
  const finish f = {.bias = c->n_in > 2 ? c->in[2].data : NULL,
                    .residual = c->n_in > 3 ? c->in[3].data : NULL,
                    .act = ((const fv_conv2d_attrs *)c->attrs)->act,
                    .y = c->out[0].data};
  run_layer(c, &l, false, &f);
}

static void run_input(const fv_call *c) {
  const layer l = input_layer(c->node);
  run_layer(c, &l, true, &(finish){.act = FV_ACT_NONE, .y = c->out[0].data});
}

/* ---- the weight's gradient --------------------------------------------------------------------------------------- */
/* The room is a layer's, with sums where the weight was. */
static void run_weight(const fv_call *c) {
  const layer l = weight_layer(c->node);
  float *bias = c->n_out > 1 ? c->out[1].data : NULL;
  room r;
  room_of(&l, c->scratch, &r);
  memset(r.zeros, 0, (size_t)l.c * sizeof(float));
  if (bias) memset(bias, 0, (size_t)l.o * sizeof(float));
  for (int64_t first = 0; first < l.tiles; first += TILES) {
    const int64_t n = FV_MIN(TILES, l.tiles - first);
    fv_ahead ahead = {0};
    ahead_image(&l, c->in[0].data, first + TILES, &ahead);
    ahead_results(&l, c->in[1].data, first + TILES, false, &ahead);
    ahead_spread(&l, l.c, &ahead);
    for (int64_t t = 0; t < n; t++) {
      turn_patch(&l, c->in[0].data, first + t, r.zeros, r.patches + t * l.c);
      widen(&l, c->in[1].data, first + t, r.results + t * l.o);
    }
    for (int64_t p = 0; p < POINTS; p++)
      for (int64_t o = 0; o < l.o; o += FV_PANEL)
        fv_panel_run(&(fv_panel){.n = n,
                                 .a = r.patches + p * pitch(l.c),
                                 .a_row = 1,
                                 .a_step = l.c,
                                 .b = r.results + p * pitch(l.o) + o,
                                 .b_step = l.o,
                                 .c = r.weight + p * l.c * l.o + o,
                                 .c_row = l.o,
                                 .start = first ? FV_PANEL_ADD : FV_PANEL_ZERO,
                                 .ahead = &ahead},
                     (int)(panel(&l, o) / FV_W), l.c);
    /* The second point of both sides is the sum of a tile's results. */
    const float *sum = r.results + (SIDE + 1) * pitch(l.o);
    for (int64_t t = 0; bias && t < n; t++)
      for (int64_t o = 0; o < l.o; o += FV_W) fv_vstore(bias + o, fv_vload(bias + o) + fv_vload(sum + t * l.o + o));
  }
  turn_sums(&l, r.weight, c->out[0].data);
}

#define ROW(op_, of)                                                                                            \
  .op = op_, .name = "winograd", .isa = FV_ISA_LEVEL, .priority = 20, .can = of##_can, .scratch = of##_scratch, \
  .run = run_##of
#define SHARED(of) .together = true, .units = of##_units, .packed = of##_packed, .pack = of##_pack
const fv_kernel FV_KERNELS(conv_winograd)[] = {{ROW("conv2d", conv), SHARED(conv)},
                                               {ROW("conv2d_grad_input", input), SHARED(input)},
                                               {ROW("conv2d_grad_weight", weight)},
                                               {0}};
