/* SPDX-License-Identifier: Apache-2.0 */
/* nodes_explain.c: which neighbours a node's class rests on. Attention is followed back from the node: what flows over
 * an edge of the last layer is its weight (the mean over heads); over an edge of a layer before, its weight times what
 * its end passes on. So the shares of all edges of a layer sum to 1, and those of all nodes at the end (Abnar and
 * Zuidema 2020, on a graph). An edge counts with its mean over the layers.
 *
 * Whether that is what counts: edges that lead to the node go, those with the largest share first, with the smallest
 * first, or in any order, and the network looks again (fidelity; Yuan et al. 2023). An edge from nowhere has no weight,
 * so that the graph keeps its form. */
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_LAYERS = 16, DRAWN = 48, SAMPLES = 100 };

typedef struct lens {
  fv_asked a;
  fv_runner r;
  int layers;
  const char *alpha[MOST_LAYERS]; /* names of outputs: [M,H] */
  int32_t *neighbour;             /* the graph's, from which edges go */
  int64_t *to;                    /* of each edge, where it leads */
} lens;

/* ---- the network ------------------------------------------------------------------------------------------------- */
static void bind(lens *l) {
  const fv_dataset *d = l->a.data;
  for (int f = 0; f < d->n_fields; f++) {
    const int input = fv_exec_input(l->r.exec[0], d->field[f].name);
    const bool edges = !strcmp(d->field[f].name, "neighbour");
    if (input >= 0) fv_exec_bind_input(l->r.exec[0], input, edges ? l->neighbour : d->field[f].all);
  }
}

static fv_status lens_open(fv_model *m, const char *input, const char *data, lens *l) {
  fv_graph *g;
  FV_TRY(fv_asked_open(m, input, data, &l->a));
  const fv_web *web = l->a.web;
  FV_TRY(FV_NEW(&l->neighbour, web->edges));
  FV_TRY(FV_NEW(&l->to, web->edges));
  memcpy(l->neighbour, web->neighbour, (size_t)web->edges * sizeof *l->neighbour);
  for (int64_t i = 0; i < web->nodes; i++)
    for (int64_t e = web->begin[i]; e < web->begin[i + 1]; e++) l->to[e] = i;
  FV_TRY(fv_model_graph(m, FV_MODE_PREDICT, 1, true, &g));
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, 1, 1, &l->r));
  for (int i = 0; i < g->taps.n && l->layers < MOST_LAYERS; i++)
    if (!strcmp(g->taps.v[i].kind, FV_TAP_EDGES)) l->alpha[l->layers++] = g->taps.v[i].name;
  FV_TRY(fv_runner_refresh(&l->r, m->slab, m->pool));
  bind(l);
  fv_exec_run_split(l->r.exec[0], m->pool);
  return FV_OK;
}

static void lens_close(lens *l) {
  fv_runner_free(&l->r);
  fv_asked_close(&l->a);
  fv_free(l->neighbour);
  fv_free(l->to);
}

/* ---- what flows to a node ---------------------------------------------------------------------------------------- */
typedef struct flow {
  double *node, *next; /* [V]: the share of each, at the end of the way back */
  double *edge;        /* [M] */
  int *hop;            /* [V]; -1: too far */
} flow;

static fv_status flow_new(const fv_web *web, flow *f) {
  FV_TRY(FV_NEW(&f->node, web->nodes));
  FV_TRY(FV_NEW(&f->next, web->nodes));
  FV_TRY(FV_NEW(&f->edge, web->edges));
  return FV_NEW(&f->hop, web->nodes);
}
static void flow_free(flow *f) {
  fv_free(f->node);
  fv_free(f->next);
  fv_free(f->edge);
  fv_free(f->hop);
}

static double weight_of(const lens *l, int layer, int64_t e) {
  const fv_tensor *alpha = fv_exec_output(l->r.exec[0], l->alpha[layer]);
  const int64_t heads = alpha->shape.dim[1];
  double sum = 0;
  for (int64_t h = 0; h < heads; h++) sum += (double)((const float *)alpha->data)[e * heads + h];
  return sum / (double)heads;
}

static void flow_back(const lens *l, int layer, flow *f) {
  const fv_web *web = l->a.web;
  memset(f->next, 0, (size_t)web->nodes * sizeof *f->next);
  for (int64_t i = 0; i < web->nodes; i++)
    for (int64_t e = web->begin[i]; f->node[i] > 0 && e < web->begin[i + 1]; e++) {
      const double share = f->node[i] * weight_of(l, layer, e);
      const int32_t from = web->neighbour[e];
      f->next[from] += share;
      f->edge[e] += share / l->layers;
      if (f->hop[from] < 0) f->hop[from] = l->layers - layer;
    }
  double *done = f->node;
  f->node = f->next;
  f->next = done;
}

/* The network must have looked at the whole graph last. */
static void flow_to(const lens *l, int64_t node, flow *f) {
  const fv_web *web = l->a.web;
  memset(f->node, 0, (size_t)web->nodes * sizeof *f->node);
  memset(f->edge, 0, (size_t)web->edges * sizeof *f->edge);
  memset(f->hop, -1, (size_t)web->nodes * sizeof *f->hop);
  f->node[node] = 1;
  f->hop[node] = 0;
  for (int layer = l->layers - 1; layer >= 0; layer--) flow_back(l, layer, f);
}

typedef struct ranked {
  double share;
  int64_t edge;
} ranked;
static int falling(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->share != y->share) return x->share < y->share ? 1 : -1;
  return x->edge < y->edge ? -1 : 1;
}

/* Edges between different nodes over which something flows, the largest share first. */
static fv_status rank_edges(const lens *l, const flow *f, ranked **ranks, int64_t *n) {
  const fv_web *web = l->a.web;
  *n = 0;
  for (int64_t e = 0; e < web->edges; e++) *n += f->edge[e] > 0 && web->neighbour[e] != l->to[e];
  FV_TRY(FV_NEW(ranks, *n));
  int64_t at = 0;
  for (int64_t e = 0; e < web->edges; e++)
    if (f->edge[e] > 0 && web->neighbour[e] != l->to[e]) (*ranks)[at++] = (ranked){f->edge[e], e};
  qsort(*ranks, (size_t)*n, sizeof **ranks, falling);
  return FV_OK;
}

static int64_t class_of(const fv_asked *a, const float *p, int64_t node) {
  const int64_t k = a->m->task.n_classes;
  int64_t best = 0;
  for (int64_t c = 1; c < k; c++)
    if (p[node * k + c] > p[node * k + best]) best = c;
  return best;
}

/* ---- for people -------------------------------------------------------------------------------------------------- */
typedef struct sketch { /* the part of a neighbourhood that is shown */
  fv_neighbourhood h;
  fv_web_node node[DRAWN];
  fv_web_edge edge[DRAWN * DRAWN];
  int64_t id[DRAWN];
  int left_out;
  char title[256];
} sketch;

static int shown_at(const sketch *s, int64_t node) {
  for (int i = 0; i < s->h.n_nodes; i++)
    if (s->id[i] == node) return i;
  return -1;
}

static void show_node(const lens *l, const flow *f, sketch *s, int64_t node, int parent) {
  const fv_asked *a = &l->a;
  s->id[s->h.n_nodes] = node;
  s->node[s->h.n_nodes++] =
      (fv_web_node){.name = fv_arena_printf(a->m->arena, "%s", fv_web_name(a->web, node)), .parent = parent,
                    .hop = f->hop[node], .of_class = (int)class_of(a, a->p, node), .share = f->node[node],
                    .known = a->web->split[node] == FV_SPLIT_TRAIN && a->web->label[node] >= 0};
}

/* Nodes come by the edge of the largest share that leads to one already there and nearer, as long as there is room. */
static fv_status make_sketch(const lens *l, const flow *f, int64_t node, const ranked *ranks, int64_t n, sketch *s) {
  const fv_web *web = l->a.web;
  bool more = true;
  show_node(l, f, s, node, -1);
  while (more && s->h.n_nodes < DRAWN) {
    more = false;
    for (int64_t r = 0; r < n && s->h.n_nodes < DRAWN; r++) {
      const int64_t from = web->neighbour[ranks[r].edge], to = l->to[ranks[r].edge];
      const int parent = shown_at(s, to);
      if (parent < 0 || shown_at(s, from) >= 0 || f->hop[from] != f->hop[to] + 1) continue;
      show_node(l, f, s, from, parent);
      more = true;
      break;
    }
  }
  for (int64_t r = 0; r < n; r++) {
    const int from = shown_at(s, web->neighbour[ranks[r].edge]), to = shown_at(s, l->to[ranks[r].edge]);
    if (from >= 0 && to >= 0) s->edge[s->h.n_edges++] = (fv_web_edge){from, to, ranks[r].share};
  }
  for (int64_t i = 0; i < web->nodes; i++) s->left_out += f->hop[i] >= 0;
  s->left_out -= s->h.n_nodes;
  for (int i = 0; i < s->h.n_nodes; i++)
    FV_REQUIRE(s->node[i].name, FV_ERR_MEMORY, "explain: out of memory");
  s->h.node = s->node;
  s->h.edge = s->edge;
  s->h.title = s->title;
  s->h.classes = l->a.m->classes;
  s->h.n_classes = (int)l->a.m->task.n_classes;
  return FV_OK;
}

static void put_title(const lens *l, int64_t node, sketch *s) {
  const fv_asked *a = &l->a;
  const int64_t c = class_of(a, a->p, node);
  const int32_t truth = a->web->label[node];
  int n = snprintf(s->title, sizeof s->title, "%s: %s (%.2f)", fv_web_name(a->web, node), a->m->classes[c],
                   (double)a->p[node * a->m->task.n_classes + c]);
  if (truth >= 0 && n > 0 && (size_t)n < sizeof s->title)
    n += snprintf(s->title + n, sizeof s->title - (size_t)n, ", is %s", a->m->classes[truth]);
  if (s->left_out > 0 && n > 0 && (size_t)n < sizeof s->title)
    snprintf(s->title + n, sizeof s->title - (size_t)n, "; %d more not shown", s->left_out);
}

static void put_terminal(const sketch *s, fv_text *out) {
  enum { LINES = 12 };
  fv_text_printf(out, "%s\n  own features %.3f\n", s->title, s->node[0].share);
  for (int e = 0; e < FV_MIN(s->h.n_edges, LINES); e++) {
    const fv_web_node *from = &s->node[s->edge[e].from], *to = &s->node[s->edge[e].to];
    fv_text_printf(out, "  %.3f  %s <- %s  %s%s\n", s->edge[e].weight, to->name, from->name,
                   s->h.classes[from->of_class], from->known ? " (given)" : "");
  }
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static void put_node(const lens *l, const flow *f, const char *key, int64_t node, fv_json *j) {
  const fv_asked *a = &l->a;
  const int64_t c = class_of(a, a->p, node);
  fv_json_begin(j, key, '{');
  fv_json_text(j, "node", fv_web_name(a->web, node));
  fv_json_int(j, "hop", f->hop[node]);
  fv_json_real(j, "share", f->node[node]);
  fv_json_text(j, "label", a->m->classes[c]);
  fv_json_float(j, "probability", a->p[node * a->m->task.n_classes + c]);
  fv_json_text(j, "truth", a->web->label[node] >= 0 ? a->m->classes[a->web->label[node]] : NULL);
  fv_json_bool(j, "given", a->web->split[node] == FV_SPLIT_TRAIN && a->web->label[node] >= 0);
  fv_json_end(j, '}');
}

static void put_edge(const lens *l, const ranked *r, fv_json *j) {
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "from", fv_web_name(l->a.web, l->a.web->neighbour[r->edge]));
  fv_json_text(j, "to", fv_web_name(l->a.web, l->to[r->edge]));
  fv_json_real(j, "share", r->share);
  fv_json_begin(j, "weights", '[');
  for (int layer = 0; layer < l->layers; layer++) fv_json_real(j, NULL, weight_of(l, layer, r->edge));
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

static void put_neighbourhood(const lens *l, const flow *f, int64_t node, const ranked *ranks, int64_t n, fv_json *j) {
  put_node(l, f, "node", node, j);
  fv_json_begin(j, "neighbours", '[');
  for (int64_t i = 0; i < l->a.web->nodes; i++)
    if (f->hop[i] > 0) put_node(l, f, NULL, i, j);
  fv_json_end(j, ']');
  fv_json_begin(j, "edges", '[');
  for (int64_t r = 0; r < n; r++) put_edge(l, &ranks[r], j);
  fv_json_end(j, ']');
}

/* ---- fidelity ---------------------------------------------------------------------------------------------------- */
enum { TOP, BOTTOM, RANDOM, ORDERS, PARTS = 4 };
static const double parts[PARTS] = {0.1, 0.2, 0.5, 1};
static const char *const orders[ORDERS] = {"top", "bottom", "random"};
typedef struct fidelity {
  int64_t samples;
  double right, probability;                                 /* with all edges */
  double part_right[ORDERS][PARTS], part_probability[ORDERS][PARTS];
} fidelity;

static void look_without(lens *l, const ranked *ranks, const int32_t *order, int64_t from, int64_t to) {
  for (int64_t r = from; r < to; r++) l->neighbour[ranks[order ? order[r] : r].edge] = -1;
  fv_exec_run_split(l->r.exec[0], l->a.m->pool);
  for (int64_t r = from; r < to; r++) {
    const int64_t e = ranks[order ? order[r] : r].edge;
    l->neighbour[e] = l->a.web->neighbour[e];
  }
}

static fv_status measure_node(lens *l, int64_t node, const ranked *ranks, int64_t n, fidelity *f) {
  const fv_asked *a = &l->a;
  const int64_t k = a->m->task.n_classes, c = class_of(a, a->p, node);
  int32_t *shuffled;
  FV_TRY(FV_NEW(&shuffled, FV_MAX(n, 1)));
  fv_rng rng = fv_rng_new((uint64_t)node, fv_stream_of("explain.edges"));
  fv_rng_permutation(&rng, shuffled, n);
  f->samples++;
  f->right += a->web->label[node] == c;
  f->probability += (double)a->p[node * k + c];
  for (int o = 0; o < ORDERS; o++)
    for (int part = 0; part < PARTS; part++) {
      const int64_t gone = (int64_t)ceil(parts[part] * (double)n);
      look_without(l, ranks, o == RANDOM ? shuffled : NULL, o == BOTTOM ? n - gone : 0, o == BOTTOM ? n : gone);
      const float *p = fv_exec_output(l->r.exec[0], "probabilities")->data;
      f->part_right[o][part] += a->web->label[node] == class_of(a, p, node);
      f->part_probability[o][part] += (double)p[node * k + c];
    }
  fv_free(shuffled);
  return FV_OK;
}

/* Test nodes, evenly spaced. */
static fv_status measure(lens *l, flow *flows, int64_t wanted, fidelity *f) {
  const fv_web *web = l->a.web;
  int64_t count = 0, seen = 0, taken = 0;
  for (int64_t i = 0; i < web->nodes; i++) count += web->split[i] == FV_SPLIT_TEST && web->label[i] >= 0;
  const int64_t n = FV_MIN(wanted ? wanted : SAMPLES, count);
  for (int64_t i = 0; i < web->nodes && taken < n; i++) {
    ranked *ranks;
    int64_t edges;
    if (web->split[i] != FV_SPLIT_TEST || web->label[i] < 0 || seen++ != taken * count / n) continue;
    taken++;
    fv_exec_run_split(l->r.exec[0], l->a.m->pool);
    flow_to(l, i, flows);
    FV_TRY(rank_edges(l, flows, &ranks, &edges));
    fv_status status = measure_node(l, i, ranks, edges, f);
    fv_free(ranks);
    FV_TRY(status);
  }
  fv_exec_run_split(l->r.exec[0], l->a.m->pool);
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
  fv_json_begin(j, "edges_removed", '[');
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

/* ---- the request ------------------------------------------------------------------------------------------------- */
fv_status fv_graph_check_request(const fv_explain_request *rq) {
  FV_REQUIRE(!rq->method || !strcmp(rq->method, "attention"), FV_ERR_REQUEST,
             "explain: method: expected attention for a graph, got '%s'", rq->method);
  FV_REQUIRE(!rq->out || fv_ends_with(rq->out, ".png") || fv_ends_with(rq->out, ".html") || fv_ends_with(rq->out, ".json") || fv_ends_with(rq->out, ".dot"),
             FV_ERR_REQUEST, "explain: out: expected a name that ends in .png, .html, .dot or .json, got '%s'", rq->out);
  return FV_OK;
}

static fv_status write_picture(const lens *l, const sketch *s, const char *out) {
  fv_image image = {0};
  fv_page p = {0};
  FV_TRY(fv_neighbourhood_picture(&s->h, &image));
  fv_status status = FV_OK;
  if (fv_ends_with(out, ".png")) status = fv_image_write_png(out, &image);
  else {
    fv_page_begin(&p, l->a.m->recipe->info.name, s->title);
    status = fv_page_image(&p, &image, image.w / 2, NULL);
    if (status == FV_OK) status = fv_page_write(&p, out);
  }
  fv_page_free(&p);
  fv_image_free(&image);
  return status;
}

static fv_status write_out(const lens *l, const sketch *s, const fv_json *j, const char *out) {
  fv_text dot = {0};
  if (!out) return FV_OK;
  if (fv_ends_with(out, ".json")) return fv_file_write(out, j->text.s, j->text.n);
  if (!fv_ends_with(out, ".dot")) return write_picture(l, s, out);
  fv_neighbourhood_dot(&s->h, &dot);
  fv_status status = dot.failed ? FV_FAIL(FV_ERR_MEMORY, "explain: out of memory") : fv_file_write(out, dot.s, dot.n);
  fv_text_free(&dot);
  return status;
}

static fv_status explain(lens *l, const fv_explain_request *rq, flow *f, sketch *s, fv_json *j) {
  const int64_t node = l->a.node[0];
  ranked *ranks = NULL;
  fv_text text = {0};
  int64_t n;
  fidelity measured = {0};
  fv_status status = FV_OK;
  if (rq->faithfulness) FV_TRY(measure(l, f, rq->samples, &measured));
  flow_to(l, node, f);
  FV_TRY_DONE(rank_edges(l, f, &ranks, &n));
  FV_TRY_DONE(make_sketch(l, f, node, ranks, n, s));
  put_title(l, node, s);
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "method", "attention");
  put_neighbourhood(l, f, node, ranks, n, j);
  if (rq->faithfulness) put_fidelity(j, &measured);
  fv_json_begin(j, "files", '[');
  if (rq->out) fv_json_text(j, NULL, rq->out);
  fv_json_end(j, ']');
  if (rq->terminal) put_terminal(s, &text);
  if (rq->terminal) fv_json_text(j, "terminal", text.s);
  fv_json_end(j, '}');
  FV_REQUIRE_DONE(!j->text.failed && !text.failed, FV_ERR_MEMORY, "explain: out of memory");
  FV_TRY_DONE(write_out(l, s, j, rq->out));
done:
  fv_text_free(&text);
  fv_free(ranks);
  return status;
}

fv_status fv_nodes_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  lens l = {.layers = 0};
  flow f = {NULL, NULL, NULL, NULL};
  sketch *s = NULL;
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY(fv_graph_check_request(rq));
  FV_TRY_DONE(lens_open(m, rq->input ? rq->input : "test:0", rq->data, &l));
  FV_TRY_DONE(flow_new(l.a.web, &f));
  FV_TRY_DONE(FV_NEW(&s, 1));
  FV_TRY_DONE(explain(&l, rq, &f, s, &j));
done:
  lens_close(&l);
  flow_free(&f);
  fv_free(s);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}
