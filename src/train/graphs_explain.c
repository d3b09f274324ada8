/* SPDX-License-Identifier: Apache-2.0 */
/* graphs_explain.c: which nodes of a graph its class rests on: the weights of the pooling. Whether that is what counts:
 * nodes go with all their edges, those with the largest weight first, with the smallest first, or in any order, and the
 * network looks again. */
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 100, DRAWN = 60 };
enum { TOP, BOTTOM, RANDOM, ORDERS, PARTS = 3 };
static const double parts[PARTS] = {0.1, 0.2, 0.5};
static const char *const orders[ORDERS] = {"top", "bottom", "random"};

typedef struct view {
  fv_model *m;
  fv_dataset *data;
  fv_runner r[FV_MAX_LENGTHS];
  const char *pooling;  /* the tap */
  int64_t most;         /* nodes of the largest graph */
  void *field[FV_MAX_FIELDS]; /* the graph as it is */
  int32_t *degree, *neighbour; /* and what is left of it */
  uint8_t *gone;
  double *share;        /* of each node */
  int32_t *order;       /* nodes, the largest share first */
  float *p;             /* [classes] */
  int64_t index, n;
  int32_t label, answer;
} view;

static fv_status view_open(fv_model *m, const char *data, view *v) {
  *v = (view){.m = m};
  FV_TRY(fv_model_open_data(m, data, &v->data));
  v->most = fv_model_longest(m);
  for (int f = 0; f < v->data->n_fields; f++) {
    v->field[f] = fv_alloc((size_t)fv_field_bytes(&v->data->field[f], v->most));
    FV_REQUIRE(v->field[f], FV_ERR_MEMORY, "explain: out of memory");
  }
  FV_TRY(FV_NEW(&v->degree, v->most));
  FV_TRY(FV_NEW(&v->neighbour, v->most * m->task.edges));
  FV_TRY(FV_NEW(&v->gone, v->most));
  FV_TRY(FV_NEW(&v->share, v->most));
  FV_TRY(FV_NEW(&v->order, v->most));
  return FV_NEW(&v->p, m->task.n_classes);
}

static void view_close(view *v) {
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&v->r[i]);
  for (int f = 0; f < FV_MAX_FIELDS; f++) fv_free(v->field[f]);
  void *all[] = {v->degree, v->neighbour, v->gone, v->share, v->order, v->p};
  for (size_t i = 0; i < FV_COUNT(all); i++) fv_free(all[i]);
  fv_dataset_close(v->data);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */
static fv_status runner_of(view *v, int bucket) {
  fv_graph *g;
  if (v->r[bucket].program) return FV_OK;
  v->m->task.length = v->m->length[bucket];
  FV_TRY(fv_model_graph(v->m, FV_MODE_PREDICT, 1, true, &g));
  for (int i = 0; i < g->taps.n; i++)
    if (!strcmp(g->taps.v[i].kind, FV_TAP_POOLING)) v->pooling = fv_arena_strdup(v->m->arena, g->taps.v[i].name);
  FV_TRY(fv_runner_new(&v->m->ledger, g, v->m->slab, 1, 1, &v->r[bucket]));
  FV_REQUIRE(v->pooling, FV_ERR_INTERNAL, "explain: expected a tap on the pooling, got none");
  return fv_runner_refresh(&v->r[bucket], v->m->slab, v->m->pool);
}

/* The graph without the nodes that are gone, which keep their places. */
static void leave_out(view *v) {
  const int32_t *degree = v->field[0], *place = v->field[1];
  int64_t at = 0;
  memset(v->degree, 0, (size_t)v->most * sizeof *v->degree);
  for (int64_t i = 0; i < v->n; place += degree[i++])
    for (int32_t k = 0; k < degree[i] && !v->gone[i]; k++) {
      if (v->gone[place[k]]) continue;
      v->neighbour[at++] = place[k];
      v->degree[i]++;
    }
}

static fv_status look(view *v, const fv_exec **exec) {
  const int bucket = fv_length_bucket(v->m->length, v->m->n_lengths, v->n);
  FV_TRY(runner_of(v, bucket));
  fv_exec *e = v->r[bucket].exec[0];
  leave_out(v);
  for (int f = 0; f < v->data->n_fields; f++) {
    const int input = fv_exec_input(e, v->data->field[f].name);
    if (input >= 0) fv_exec_bind_input(e, input, f == 0 ? v->degree : f == 1 ? v->neighbour : v->field[f]);
  }
  fv_exec_run(e);
  memcpy(v->p, fv_exec_output(e, "probabilities")->data, (size_t)v->m->task.n_classes * sizeof *v->p);
  *exec = e;
  return FV_OK;
}

static int32_t likeliest(const view *v) {
  int32_t best = 0;
  for (int32_t c = 1; c < v->m->task.n_classes; c++)
    if (v->p[c] > v->p[best]) best = c;
  return best;
}

static _Thread_local const view *sorted; /* of the call of qsort */
static int falling(const void *a, const void *b) {
  const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  if (sorted->share[x] != sorted->share[y]) return sorted->share[x] < sorted->share[y] ? 1 : -1;
  return x < y ? -1 : 1;
}

static fv_status look_at(view *v, int64_t index) {
  const fv_exec *exec;
  for (int f = 0; f < v->data->n_fields; f++)
    memset(v->field[f], 0, (size_t)fv_field_bytes(&v->data->field[f], v->most));
  v->data->read(v->data, FV_SPLIT_TEST, index, 0, v->field);
  v->index = index;
  v->n = v->data->length(v->data, FV_SPLIT_TEST, index);
  v->label = *(const int32_t *)v->field[v->data->n_fields - 1];
  memset(v->gone, 0, (size_t)v->most);
  FV_TRY(look(v, &exec));
  v->answer = likeliest(v);
  const float *alpha = fv_exec_output(exec, v->pooling)->data;
  for (int64_t i = 0; i < v->n; i++) v->share[i] = (double)alpha[i], v->order[i] = (int32_t)i;
  sorted = v;
  qsort(v->order, (size_t)v->n, sizeof *v->order, falling);
  return FV_OK;
}

/* ---- fidelity ---------------------------------------------------------------------------------------------------- */
typedef struct fidelity {
  int64_t samples;
  double right, probability, part_right[ORDERS][PARTS], part_probability[ORDERS][PARTS];
} fidelity;

static fv_status measure_graph(view *v, fidelity *f) {
  const fv_exec *exec;
  int32_t *any;
  fv_status status = FV_OK;
  FV_TRY(FV_NEW(&any, v->n));
  fv_rng rng = fv_rng_new((uint64_t)v->index, fv_stream_of("explain.nodes"));
  fv_rng_permutation(&rng, any, v->n);
  f->samples++;
  f->right += v->answer == v->label;
  f->probability += (double)v->p[v->answer];
  for (int o = 0; o < ORDERS; o++)
    for (int part = 0; part < PARTS; part++) {
      const int64_t gone = (int64_t)ceil(parts[part] * (double)v->n);
      memset(v->gone, 0, (size_t)v->most);
      for (int64_t k = 0; k < gone && k < v->n - 1; k++)
        v->gone[o == RANDOM ? any[k] : v->order[o == TOP ? k : v->n - 1 - k]] = 1;
      FV_TRY_DONE(look(v, &exec));
      f->part_right[o][part] += likeliest(v) == v->label;
      f->part_probability[o][part] += (double)v->p[v->answer];
    }
done:
  fv_free(any);
  return status;
}

static fv_status measure(view *v, int64_t wanted, fidelity *f) {
  const int64_t count = v->data->count[FV_SPLIT_TEST], n = FV_MIN(wanted ? wanted : SAMPLES, count);
  for (int64_t i = 0; i < n; i++) {
    FV_TRY(look_at(v, i * count / n));
    FV_TRY(measure_graph(v, f));
  }
  return FV_OK;
}

static void put_means(fv_json *j, const char *key, const double *sum, int64_t samples) {
  fv_json_begin(j, key, '[');
  for (int part = 0; part < PARTS; part++) fv_json_real(j, NULL, sum[part] / (double)FV_MAX(samples, 1));
  fv_json_end(j, ']');
}

static void put_fidelity(fv_json *j, const fidelity *f) {
  fv_json_begin(j, "faithfulness", '{');
  fv_json_int(j, "samples", f->samples);
  fv_json_real(j, "accuracy", f->right / (double)FV_MAX(f->samples, 1));
  fv_json_real(j, "probability", f->probability / (double)FV_MAX(f->samples, 1));
  fv_json_begin(j, "nodes_removed", '[');
  for (int part = 0; part < PARTS; part++) fv_json_real(j, NULL, parts[part]);
  fv_json_end(j, ']');
  for (int o = 0; o < ORDERS; o++) {
    fv_json_begin(j, orders[o], '{');
    put_means(j, "accuracy", f->part_right[o], f->samples);
    put_means(j, "probability", f->part_probability[o], f->samples);
    fv_json_end(j, '}');
  }
  fv_json_end(j, '}');
}

/* ---- what is written --------------------------------------------------------------------------------------------- */
static void put_nodes(const view *v, fv_json *j) {
  const int32_t *degree = v->field[0];
  fv_json_begin(j, "nodes", '[');
  for (int64_t k = 0; k < v->n; k++) {
    fv_json_begin(j, NULL, '{');
    fv_json_int(j, "node", v->order[k]);
    fv_json_int(j, "degree", degree[v->order[k]] - 1);
    fv_json_real(j, "share", v->share[v->order[k]]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

typedef struct sketch {
  fv_neighbourhood h;
  fv_web_node node[DRAWN];
  fv_web_edge edge[DRAWN * DRAWN];
  int32_t id[DRAWN];
  char name[DRAWN][12], title[256];
} sketch;

static int shown_at(const sketch *s, int64_t node) {
  for (int i = 0; i < s->h.n_nodes; i++)
    if (s->id[i] == node) return i;
  return -1;
}

/* From the node with the largest share outward. */
static void make_sketch(const view *v, sketch *s) {
  const int32_t *degree = v->field[0], *place = v->field[1];
  s->id[0] = v->order[0];
  s->node[0] = (fv_web_node){.parent = -1, .of_class = -1, .share = v->share[v->order[0]]};
  s->h.n_nodes = 1;
  for (int at = 0; at < s->h.n_nodes; at++) {
    int64_t first = 0;
    for (int32_t i = 0; i < s->id[at]; i++) first += degree[i];
    for (int32_t k = 0; k < degree[s->id[at]]; k++) {
      const int32_t other = place[first + k];
      int known = shown_at(s, other);
      if (known < 0 && s->h.n_nodes < DRAWN) {
        known = s->h.n_nodes++;
        s->id[known] = other;
        s->node[known] = (fv_web_node){.parent = at, .hop = s->node[at].hop + 1, .of_class = -1, .share = v->share[other]};
      }
      if (known > at) s->edge[s->h.n_edges++] = (fv_web_edge){at, known, v->share[other]};
    }
  }
  for (int i = 0; i < s->h.n_nodes; i++) {
    snprintf(s->name[i], sizeof s->name[i], "%d", s->id[i]);
    s->node[i].name = s->name[i];
  }
  snprintf(s->title, sizeof s->title, "test:%lld: %s (%.2f), is %s; %lld nodes", (long long)v->index,
           v->m->classes[v->answer], (double)v->p[v->answer], v->m->classes[v->label], (long long)v->n);
  s->h.title = s->title;
  s->h.node = s->node;
  s->h.edge = s->edge;
}

static fv_status write_out(const view *v, const fv_json *j, const char *out) {
  fv_status status = FV_OK;
  fv_image image = {0};
  fv_page page = {0};
  fv_text dot = {0};
  sketch *s;
  if (!out) return FV_OK;
  if (fv_ends_with(out, ".json")) return fv_file_write(out, j->text.s, j->text.n);
  FV_TRY(FV_NEW(&s, 1));
  make_sketch(v, s);
  if (fv_ends_with(out, ".dot")) {
    fv_neighbourhood_dot(&s->h, &dot);
    FV_REQUIRE_DONE(!dot.failed, FV_ERR_MEMORY, "explain: out of memory");
    FV_TRY_DONE(fv_file_write(out, dot.s, dot.n));
    goto done;
  }
  FV_TRY_DONE(fv_neighbourhood_picture(&s->h, &image));
  if (fv_ends_with(out, ".png")) FV_TRY_DONE(fv_image_write_png(out, &image));
  else {
    fv_page_begin(&page, v->m->recipe->info.name, s->title);
    FV_TRY_DONE(fv_page_image(&page, &image, image.w / 2, NULL));
    FV_TRY_DONE(fv_page_write(&page, out));
  }
done:
  fv_text_free(&dot);
  fv_page_free(&page);
  fv_image_free(&image);
  fv_free(s);
  return status;
}

static fv_status explain(view *v, const fv_explain_request *rq, fv_json *j) {
  fidelity measured = {0};
  int64_t index = 0;
  if (rq->input) {
    FV_REQUIRE(fv_is_test_sample(rq->input), FV_ERR_REQUEST, "%s: expected test:N, a graph of the test split", rq->input);
    FV_TRY(fv_test_sample(rq->input, v->data, &index));
  }
  if (rq->faithfulness) FV_TRY(measure(v, rq->samples, &measured));
  FV_TRY(look_at(v, index));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "method", "attention");
  fv_json_int(j, "graph", index);
  fv_json_text(j, "label", v->m->classes[v->answer]);
  fv_json_float(j, "probability", v->p[v->answer]);
  fv_json_text(j, "truth", v->m->classes[v->label]);
  put_nodes(v, j);
  if (rq->faithfulness) put_fidelity(j, &measured);
  fv_json_begin(j, "files", '[');
  if (rq->out) fv_json_text(j, NULL, rq->out);
  fv_json_end(j, ']');
  fv_json_end(j, '}');
  FV_REQUIRE(!j->text.failed, FV_ERR_MEMORY, "explain: out of memory");
  return write_out(v, j, rq->out);
}

fv_status fv_graphs_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  view v;
  fv_json j = {0};
  FV_TRY(fv_graph_check_request(rq));
  fv_status status = view_open(m, rq->data, &v);
  if (status == FV_OK) status = explain(&v, rq, &j);
  view_close(&v);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}
