/* SPDX-License-Identifier: Apache-2.0 */
/* slic.c: simple linear iterative clustering (Achanta, Shaji, Smith, Lucchi, Fua, Suesstrunk: SLIC Superpixels
 * Compared to State-of-the-Art Superpixel Methods, TPAMI 34(11), 2012). k-means over colour and place, where a centre
 * looks no further than S pixels each way, with the distance D^2 = dc^2 + (ds/S)^2 m^2. Colours are those of CIELAB; a
 * grey pixel is its lightness there, 0 to 100, so that a grey image is cut as the same image in colours is. */
#include "data/slic.h"

#include "io/io.h"

#include <math.h>

enum { ROUNDS = 10, NOBODY = -1 };

typedef struct centre {
  float colour[3];
  float x, y;
} centre;

struct fv_slic {
  fv_slic_how how;
  int rows, columns; /* of seeds */
  double step;       /* S */
  float weight;      /* (m/S)^2 */
  float linear[256], lightness[256]; /* of a channel's value */
  int n, n_parts;    /* pixels; connected parts of what belongs to one centre */
  centre centre[FV_SLIC_MOST];
  float *colour;     /* [n,channels] */
  float *distance;   /* [n] */
  int32_t *owner;    /* [n]: a centre, or nobody */
  int32_t *part;     /* [n] */
  int32_t *pixel;    /* [n]: those of part 0, of part 1, ... */
  int32_t *begin;    /* [n+1]: where they begin */
  int32_t *joins;    /* [n]: the centre whose superpixel a part belongs to */
};

/* ---- the grid ---------------------------------------------------------------------------------------------------- */
static void lay_grid(const fv_slic_how *how, int *rows, int *columns, double *step) {
  *step = sqrt((double)how->h * how->w / (double)how->superpixels);
  *columns = (int)FV_MIN(FV_MAX(lrint(how->w / *step), 1), FV_MIN(how->w, FV_SLIC_MOST));
  *rows = (int)FV_MIN(FV_MAX(lrint(how->h / *step), 1), FV_MIN(how->h, FV_SLIC_MOST / *columns));
}

int fv_slic_seeds(const fv_slic_how *how) {
  int rows, columns;
  double step;
  lay_grid(how, &rows, &columns, &step);
  return rows * columns;
}

/* ---- colours ----------------------------------------------------------------------------------------------------- */
/* CIE 1976; IEC 61966-2-1 (sRGB), white D65 */
static double curve(double t) { return t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116; }

static void make_tables(fv_slic *s) {
  for (int v = 0; v < 256; v++) {
    const double c = v / 255.0, linear = c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
    s->linear[v] = (float)linear;
    s->lightness[v] = (float)(116 * curve(linear) - 16);
  }
}

static void to_lab(const fv_slic *s, const uint8_t *rgb, float *lab) {
  const double r = (double)s->linear[rgb[0]], g = (double)s->linear[rgb[1]], b = (double)s->linear[rgb[2]];
  const double x = curve((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const double y = curve(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
  const double z = curve((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
  lab[0] = (float)(116 * y - 16);
  lab[1] = (float)(500 * (x - y));
  lab[2] = (float)(200 * (y - z));
}

static void take_colours(fv_slic *s, const uint8_t *pixels) {
  for (int i = 0; i < s->n; i++)
    if (s->how.channels == 1) s->colour[i] = s->lightness[pixels[i]];
    else to_lab(s, pixels + 3 * i, s->colour + 3 * i);
}

static float square(float v) { return v * v; }

static float colours_apart(int channels, const float *a, const float *b) {
  float sum = 0;
  for (int k = 0; k < channels; k++) sum += square(a[k] - b[k]);
  return sum;
}

/* D^2 */
static float apart(const fv_slic *s, const centre *c, const float *colour, float x, float y) {
  return colours_apart(s->how.channels, c->colour, colour) + s->weight * (square(c->x - x) + square(c->y - y));
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */
static const float *colour_at(const fv_slic *s, int x, int y) {
  x = FV_MIN(FV_MAX(x, 0), s->how.w - 1);
  y = FV_MIN(FV_MAX(y, 0), s->how.h - 1);
  return s->colour + (y * s->how.w + x) * s->how.channels;
}

static float gradient_at(const fv_slic *s, int x, int y) {
  const int k = s->how.channels;
  return colours_apart(k, colour_at(s, x + 1, y), colour_at(s, x - 1, y)) +
         colours_apart(k, colour_at(s, x, y + 1), colour_at(s, x, y - 1));
}

/* The place of the lowest gradient among the nine around it, so that no seed begins on an edge or on noise. */
static void place_seed(const fv_slic *s, int x, int y, centre *c) {
  float least = gradient_at(s, x, y);
  int to_x = x, to_y = y;
  for (int v = FV_MAX(y - 1, 0); v <= FV_MIN(y + 1, s->how.h - 1); v++)
    for (int u = FV_MAX(x - 1, 0); u <= FV_MIN(x + 1, s->how.w - 1); u++) {
      const float gradient = gradient_at(s, u, v);
      if (gradient < least) least = gradient, to_x = u, to_y = v;
    }
  *c = (centre){.x = (float)to_x, .y = (float)to_y};
  memcpy(c->colour, colour_at(s, to_x, to_y), (size_t)s->how.channels * sizeof(float));
}

static void place_seeds(fv_slic *s) {
  for (int r = 0; r < s->rows; r++)
    for (int c = 0; c < s->columns; c++)
      place_seed(s, (2 * c + 1) * s->how.w / (2 * s->columns), (2 * r + 1) * s->how.h / (2 * s->rows),
                 &s->centre[r * s->columns + c]);
  for (int i = 0; i < s->n; i++) s->owner[i] = NOBODY;
}

/* ---- clusters ---------------------------------------------------------------------------------------------------- */
/* Takes what is nearer to centre k than to those before it. */
static void claim(fv_slic *s, int k) {
  const centre *c = &s->centre[k];
  const int channels = s->how.channels, w = s->how.w;
  const int left = FV_MAX((int)ceil((double)c->x - s->step), 0);
  const int right = FV_MIN((int)floor((double)c->x + s->step), w - 1);
  const int top = FV_MAX((int)ceil((double)c->y - s->step), 0);
  const int bottom = FV_MIN((int)floor((double)c->y + s->step), s->how.h - 1);
  for (int y = top; y <= bottom; y++)
    for (int i = y * w + left, x = left; x <= right; i++, x++) {
      const float d = apart(s, c, s->colour + i * channels, (float)x, (float)y);
      if (d < s->distance[i]) s->distance[i] = d, s->owner[i] = k;
    }
}

/* Centres to the means of what they own. How far they went, squared, all together. */
static double move_centres(fv_slic *s) {
  double sum[FV_SLIC_MOST][6] = {{0}}, gone = 0;
  for (int i = 0; i < s->n; i++) {
    if (s->owner[i] == NOBODY) continue;
    double *to = sum[s->owner[i]];
    for (int k = 0; k < s->how.channels; k++) to[k] += (double)s->colour[i * s->how.channels + k];
    to[3] += i % s->how.w;
    to[4] += i / s->how.w;
    to[5]++;
  }
  for (int k = 0; k < s->rows * s->columns; k++) {
    const double *of = sum[k], many = of[5];
    if (many == 0) continue;
    centre *c = &s->centre[k];
    const centre was = *c;
    for (int j = 0; j < s->how.channels; j++) c->colour[j] = (float)(of[j] / many);
    c->x = (float)(of[3] / many);
    c->y = (float)(of[4] / many);
    gone += (double)(square(c->x - was.x) + square(c->y - was.y));
  }
  return gone;
}

static void cluster(fv_slic *s) {
  double gone = 1;
  for (int round = 0; round < ROUNDS && gone > 0; round++) {
    for (int i = 0; i < s->n; i++) s->distance[i] = INFINITY;
    for (int k = 0; k < s->rows * s->columns; k++) claim(s, k);
    gone = move_centres(s);
  }
}

/* ---- connected regions ------------------------------------------------------------------------------------------- */
/* The neighbours of pixel i above, left, right and below. */
static int around(const fv_slic *s, int i, int to[4]) {
  const int w = s->how.w, x = i % w;
  int n = 0;
  if (i >= w) to[n++] = i - w;
  if (x > 0) to[n++] = i - 1;
  if (x < w - 1) to[n++] = i + 1;
  if (i + w < s->n) to[n++] = i + w;
  return n;
}

static void find_parts(fv_slic *s) {
  int end = 0, to[4];
  s->n_parts = 0;
  for (int i = 0; i < s->n; i++) s->part[i] = NOBODY;
  for (int first = 0; first < s->n; first++) {
    if (s->part[first] != NOBODY) continue;
    const int part = s->n_parts++;
    s->begin[part] = end;
    s->part[first] = part;
    s->pixel[end++] = first;
    for (int at = s->begin[part]; at < end; at++)
      for (int k = around(s, s->pixel[at], to) - 1; k >= 0; k--)
        if (s->part[to[k]] == NOBODY && s->owner[to[k]] == s->owner[first]) {
          s->part[to[k]] = part;
          s->pixel[end++] = to[k];
        }
  }
  s->begin[s->n_parts] = end;
}

/* The largest part of what a centre owns is its superpixel, the first of equals. */
static void keep_largest(fv_slic *s) {
  int32_t kept[FV_SLIC_MOST];
  for (int k = 0; k < FV_SLIC_MOST; k++) kept[k] = NOBODY;
  for (int p = 0; p < s->n_parts; p++) {
    const int32_t owner = s->owner[s->pixel[s->begin[p]]];
    s->joins[p] = NOBODY;
    if (owner == NOBODY) continue;
    const int32_t other = kept[owner];
    if (other == NOBODY || s->begin[p + 1] - s->begin[p] > s->begin[other + 1] - s->begin[other]) kept[owner] = p;
  }
  for (int k = 0; k < FV_SLIC_MOST; k++)
    if (kept[k] != NOBODY) s->joins[kept[k]] = k;
}

static centre mean_of(const fv_slic *s, int part) {
  const int many = s->begin[part + 1] - s->begin[part], channels = s->how.channels;
  centre c = {.x = 0};
  for (int at = s->begin[part]; at < s->begin[part + 1]; at++) {
    const int i = s->pixel[at];
    for (int k = 0; k < channels; k++) c.colour[k] += s->colour[i * channels + k] / (float)many;
    c.x += (float)(i % s->how.w) / (float)many;
    c.y += (float)(i / s->how.w) / (float)many;
  }
  return c;
}

/* Of the superpixels beside a part, the one with the nearest centre; nobody when there are none yet. */
static int32_t nearest_beside(const fv_slic *s, int part) {
  const centre own = mean_of(s, part);
  int32_t best = NOBODY;
  float least = INFINITY;
  int to[4];
  for (int at = s->begin[part]; at < s->begin[part + 1]; at++)
    for (int k = around(s, s->pixel[at], to) - 1; k >= 0; k--) {
      const int32_t other = s->joins[s->part[to[k]]];
      if (other == NOBODY || other == best) continue;
      const float d = apart(s, &s->centre[other], own.colour, own.x, own.y);
      if (d < least || (d == least && other < best)) least = d, best = other;
    }
  return best;
}

/* Parts that hang together with no superpixel of their own join one beside them. */
static void join_orphans(fv_slic *s) {
  for (bool left = true; left;) {
    left = false;
    for (int p = 0; p < s->n_parts; p++) {
      if (s->joins[p] != NOBODY) continue;
      s->joins[p] = nearest_beside(s, p);
      left |= s->joins[p] == NOBODY;
    }
  }
}

static int number(const fv_slic *s, uint8_t *segment) {
  int32_t named[FV_SLIC_MOST];
  int n = 0;
  for (int k = 0; k < FV_SLIC_MOST; k++) named[k] = NOBODY;
  for (int i = 0; i < s->n; i++) {
    const int32_t owner = s->joins[s->part[i]];
    if (named[owner] == NOBODY) named[owner] = n++;
    segment[i] = (uint8_t)named[owner];
  }
  return n;
}

int fv_slic_run(fv_slic *s, const uint8_t *pixels, uint8_t *segment) {
  take_colours(s, pixels);
  place_seeds(s);
  cluster(s);
  find_parts(s);
  keep_largest(s);
  join_orphans(s);
  return number(s, segment);
}

/* ---- room -------------------------------------------------------------------------------------------------------- */
fv_status fv_slic_new(const fv_slic_how *how, fv_slic **slic) {
  fv_status status = FV_OK;
  fv_slic *s = NULL;
  *slic = NULL;
  FV_REQUIRE(how->h >= 1 && how->w >= 1 && (how->channels == 1 || how->channels == 3) && how->superpixels >= 1 &&
                 how->superpixels <= FV_SLIC_MOST && (int64_t)how->h * how->w <= FV_IMAGE_PIXELS,
             FV_ERR_REQUEST, "superpixels: expected 1 to %d of an image of 1 or 3 channels, got %lld of %dx%dx%d",
             FV_SLIC_MOST, (long long)how->superpixels, how->h, how->w, how->channels);
  FV_TRY_DONE(FV_NEW(&s, 1));
  s->how = *how;
  s->n = how->h * how->w;
  lay_grid(how, &s->rows, &s->columns, &s->step);
  s->weight = (float)(how->compactness * how->compactness / (s->step * s->step));
  make_tables(s);
  FV_TRY_DONE(FV_NEW(&s->colour, s->n * how->channels));
  FV_TRY_DONE(FV_NEW(&s->distance, s->n));
  FV_TRY_DONE(FV_NEW(&s->owner, s->n));
  FV_TRY_DONE(FV_NEW(&s->part, s->n));
  FV_TRY_DONE(FV_NEW(&s->pixel, s->n));
  FV_TRY_DONE(FV_NEW(&s->begin, s->n + 1));
  FV_TRY_DONE(FV_NEW(&s->joins, s->n));
  *slic = s;
  s = NULL;
done:
  fv_slic_free(s);
  return status;
}

void fv_slic_free(fv_slic *s) {
  if (!s) return;
  void *all[] = {s->colour, s->distance, s->owner, s->part, s->pixel, s->begin, s->joins};
  for (size_t i = 0; i < FV_COUNT(all); i++) fv_free(all[i]);
  fv_free(s);
}
