/* SPDX-License-Identifier: Apache-2.0 */
/* graph_explain.c: drawings of a neighbourhood as files, and fidelity. */
#include "train/graph_explain.h"

#include <math.h>

enum { TOP, BOTTOM, RANDOM };
static const char *const orders[FV_FIDELITY_ORDERS] = {"top", "bottom", "random"};
static const double parts[FV_FIDELITY_PARTS] = {0.1, 0.2, 0.5, 1};

fv_status fv_graph_check_request(const fv_explain_request *rq) {
  FV_REQUIRE(!rq->method || !strcmp(rq->method, "attention"), FV_ERR_REQUEST,
             "explain: method: expected attention for a graph, got '%s'", rq->method);
  return fv_explain_check_out(rq, ".png, .html, .dot or .json");
}

/* ---- for people -------------------------------------------------------------------------------------------------- */
fv_status fv_sketch_new(const fv_model *m, fv_sketch **sketch) {
  fv_sketch *s;
  FV_TRY(FV_NEW(&s, 1));
  s->h = (fv_neighbourhood){.title = s->title, .node = s->node, .edge = s->edge, .classes = m->classes};
  *sketch = s;
  return FV_OK;
}

int fv_sketch_find(const fv_sketch *s, int64_t id) {
  for (int i = 0; i < s->h.n_nodes; i++)
    if (s->id[i] == id) return i;
  return -1;
}

int fv_sketch_add(fv_sketch *s, int64_t id, fv_drawn_node node) {
  s->id[s->h.n_nodes] = id;
  s->node[s->h.n_nodes] = node;
  return s->h.n_nodes++;
}

void fv_sketch_join(fv_sketch *s, int from, int to, double weight) {
  s->edge[s->h.n_edges++] = (fv_drawn_edge){from, to, weight};
}

static fv_status write_dot(const fv_sketch *s, const char *path) {
  fv_text dot = {0};
  fv_neighbourhood_dot(&s->h, &dot);
  fv_status status = dot.failed ? FV_FAIL(FV_ERR_MEMORY, "explain: out of memory") : fv_file_write(path, dot.s, dot.n);
  fv_text_free(&dot);
  return status;
}

/* A row an order, a column a part. */
static void page_fidelity(fv_page *p, const fv_fidelity *f) {
  enum { COLUMNS = FV_FIDELITY_PARTS + 1, ROWS = FV_FIDELITY_ORDERS + 1 };
  char text[ROWS][COLUMNS][32];
  const char *cells[ROWS * COLUMNS];
  const double n = (double)f->samples;
  for (int row = 0; row < ROWS; row++)
    for (int c = 0; c <= f->parts; c++) {
      char *cell = text[row][c];
      if (c == 0) snprintf(cell, sizeof text[0][0], "%s", row ? orders[row - 1] : f->things);
      else if (row == 0) snprintf(cell, sizeof text[0][0], "%.0f %%", 100 * parts[c - 1]);
      else snprintf(cell, sizeof text[0][0], "%.3f", f->part_probability[row - 1][c - 1] / n);
      cells[row * (f->parts + 1) + c] = cell;
    }
  fv_page_heading(p, "Is that what counts?");
  fv_page_paragraph(p,
                    "Mean probability of the answer when so many %s are removed, those that count most first, least "
                    "first, or any; %lld samples of the test split, %.3f with all.",
                    f->things, (long long)f->samples, f->probability / n);
  fv_page_table(p, cells, ROWS, f->parts + 1);
}

static fv_status write_page(const fv_sketch *s, const fv_model *m, const fv_image *image, const char *path) {
  fv_page p = {0};
  fv_page_begin(&p, m->recipe->info.name, s->title);
  fv_status status = fv_page_image(&p, image, image->w / 2, NULL);
  if (s->fidelity) page_fidelity(&p, s->fidelity);
  if (status == FV_OK) status = fv_page_write(&p, path);
  fv_page_free(&p);
  return status;
}

fv_status fv_sketch_write(const fv_sketch *s, const fv_model *m, const fv_json *j, const char *out) {
  fv_image drawn = {0};
  if (!out) return FV_OK;
  if (fv_ends_with(out, ".json")) return fv_json_write(j, "explain", out);
  if (fv_ends_with(out, ".dot")) return write_dot(s, out);
  if (!s->picture) FV_TRY(fv_neighbourhood_picture(&s->h, &drawn));
  const fv_image *image = s->picture ? s->picture : &drawn;
  fv_status status = fv_ends_with(out, ".png") ? fv_image_write_png(out, image) : write_page(s, m, image, out);
  fv_image_free(&drawn);
  return status;
}

/* ---- fidelity ---------------------------------------------------------------------------------------------------- */
static fv_status measure_order(fv_fidelity *f, const fv_fidelity_sample *s, int order, const int32_t *gone) {
  const float *p;
  for (int part = 0; part < f->parts; part++) {
    FV_TRY(s->look(s->arg, gone, (int64_t)ceil(parts[part] * (double)s->n), &p));
    f->part_right[order][part] += fv_map_peak(p, s->classes) == s->label;
    f->part_probability[order][part] += (double)p[s->answer];
  }
  return FV_OK;
}

static int32_t ranked(const fv_fidelity_sample *s, int64_t k) { return s->order ? s->order[k] : (int32_t)k; }

fv_status fv_fidelity_add(fv_fidelity *f, const fv_fidelity_sample *s) {
  char stream[64];
  int32_t *gone;
  fv_status status = FV_OK;
  snprintf(stream, sizeof stream, "explain.%s", f->things);
  fv_rng rng = fv_rng_new((uint64_t)s->number, fv_stream_of(stream));
  FV_TRY(FV_NEW(&gone, s->n));
  f->samples++;
  f->right += s->answer == s->label;
  f->probability += s->probability;
  for (int64_t k = 0; k < s->n; k++) gone[k] = ranked(s, k);
  FV_TRY_DONE(measure_order(f, s, TOP, gone));
  for (int64_t k = 0; k < s->n; k++) gone[k] = ranked(s, s->n - 1 - k);
  FV_TRY_DONE(measure_order(f, s, BOTTOM, gone));
  fv_rng_permutation(&rng, gone, s->n);
  FV_TRY_DONE(measure_order(f, s, RANDOM, gone));
done:
  fv_free(gone);
  return status;
}

static void put_means(fv_json *j, const char *key, const fv_fidelity *f, const double *sum) {
  fv_json_begin(j, key, '[');
  for (int part = 0; part < f->parts; part++) fv_json_real(j, NULL, sum[part] / (double)FV_MAX(f->samples, 1));
  fv_json_end(j, ']');
}

void fv_fidelity_json(const fv_fidelity *f, fv_json *j) {
  char key[64];
  snprintf(key, sizeof key, "%s_removed", f->things);
  fv_json_begin(j, "faithfulness", '{');
  fv_json_int(j, "samples", f->samples);
  fv_json_real(j, "accuracy", f->right / (double)FV_MAX(f->samples, 1));
  fv_json_real(j, "probability", f->probability / (double)FV_MAX(f->samples, 1));
  fv_json_begin(j, key, '[');
  for (int part = 0; part < f->parts; part++) fv_json_real(j, NULL, parts[part]);
  fv_json_end(j, ']');
  for (int o = 0; o < FV_FIDELITY_ORDERS; o++) {
    fv_json_begin(j, orders[o], '{');
    put_means(j, "accuracy", f, f->part_right[o]);
    put_means(j, "probability", f, f->part_probability[o]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, '}');
}
