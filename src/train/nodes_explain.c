/* SPDX-License-Identifier: Apache-2.0 */
/* nodes_explain.c: which neighbours a node's class rests on. Attention is followed back from the node: what flows over
 * an edge of the last layer is its weight (the mean over heads); over an edge of a layer before, its weight times what
 * its end passes on. So the shares of all edges of a layer sum to 1, and those of all nodes at the end (Abnar and
 * Zuidema 2020, on a graph). An edge counts with its mean over the layers.
 *
 * Whether that is what counts: edges that lead to the node go, those with the largest share first, with the smallest
 * first, or in any order, and the network looks again (graph_explain.c). An edge from nowhere has no weight,
 * so that the graph keeps its form. */
#include "train/graph_explain.h"

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
  const fv_adjacency *adj = l->a.adj;
  FV_TRY(FV_NEW(&l->neighbour, adj->edges));
  FV_TRY(FV_NEW(&l->to, adj->edges));
  memcpy(l->neighbour, adj->neighbour, (size_t)adj->edges * sizeof *l->neighbour);
  for (int64_t i = 0; i < adj->nodes; i++)
    for (int64_t e = adj->begin[i]; e < adj->begin[i + 1]; e++) l->to[e] = i;
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

static fv_status flow_new(const fv_adjacency *adj, flow *f) {
  FV_TRY(FV_NEW(&f->node, adj->nodes));
  FV_TRY(FV_NEW(&f->next, adj->nodes));
  FV_TRY(FV_NEW(&f->edge, adj->edges));
  return FV_NEW(&f->hop, adj->nodes);
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
  const fv_adjacency *adj = l->a.adj;
  memset(f->next, 0, (size_t)adj->nodes * sizeof *f->next);
  for (int64_t i = 0; i < adj->nodes; i++)
    for (int64_t e = adj->begin[i]; f->node[i] > 0 && e < adj->begin[i + 1]; e++) {
      const double share = f->node[i] * weight_of(l, layer, e);
      const int32_t from = adj->neighbour[e];
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
  const fv_adjacency *adj = l->a.adj;
  memset(f->node, 0, (size_t)adj->nodes * sizeof *f->node);
  memset(f->edge, 0, (size_t)adj->edges * sizeof *f->edge);
  memset(f->hop, -1, (size_t)adj->nodes * sizeof *f->hop);
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
  const fv_adjacency *adj = l->a.adj;
  *n = 0;
  for (int64_t e = 0; e < adj->edges; e++) *n += f->edge[e] > 0 && adj->neighbour[e] != l->to[e];
  FV_TRY(FV_NEW(ranks, *n));
  int64_t at = 0;
  for (int64_t e = 0; e < adj->edges; e++)
    if (f->edge[e] > 0 && adj->neighbour[e] != l->to[e]) (*ranks)[at++] = (ranked){f->edge[e], e};
  qsort(*ranks, (size_t)*n, sizeof **ranks, falling);
  return FV_OK;
}

static int64_t class_of(const fv_asked *a, const float *p, int64_t node) {
  const int64_t k = a->m->task.n_classes;
  return fv_map_peak(p + node * k, k);
}

/* ---- for people -------------------------------------------------------------------------------------------------- */
static void show_node(const lens *l, const flow *f, fv_sketch *s, int64_t node, int parent) {
  const fv_asked *a = &l->a;
  fv_sketch_add(
      s, node,
      (fv_drawn_node){.name = fv_arena_printf(a->m->arena, "%s", fv_adjacency_name(a->adj, node)), .parent = parent,
                    .hop = f->hop[node], .of_class = (int)class_of(a, a->p, node), .share = f->node[node],
                    .known = a->adj->split[node] == FV_SPLIT_TRAIN && a->adj->label[node] >= 0});
}

static void put_title(const lens *l, const flow *f, int64_t node, fv_sketch *s) {
  const fv_asked *a = &l->a;
  const int64_t c = class_of(a, a->p, node);
  const int32_t truth = a->adj->label[node];
  int left_out = -s->h.n_nodes;
  for (int64_t i = 0; i < a->adj->nodes; i++) left_out += f->hop[i] >= 0;
  int n = snprintf(s->title, sizeof s->title, "%s: %s (%.2f)", fv_adjacency_name(a->adj, node), a->m->classes[c],
                   (double)a->p[node * a->m->task.n_classes + c]);
  if (truth >= 0 && n > 0 && (size_t)n < sizeof s->title)
    n += snprintf(s->title + n, sizeof s->title - (size_t)n, ", is %s", a->m->classes[truth]);
  if (left_out > 0 && n > 0 && (size_t)n < sizeof s->title)
    snprintf(s->title + n, sizeof s->title - (size_t)n, "; %d more not shown", left_out);
}

/* Nodes come by the edge of the largest share that leads to one already there and nearer, as long as there is room. */
static fv_status make_sketch(const lens *l, const flow *f, int64_t node, const ranked *ranks, int64_t n, fv_sketch *s) {
  const fv_adjacency *adj = l->a.adj;
  bool more = true;
  show_node(l, f, s, node, -1);
  while (more && s->h.n_nodes < DRAWN) {
    more = false;
    for (int64_t r = 0; r < n && s->h.n_nodes < DRAWN; r++) {
      const int64_t from = adj->neighbour[ranks[r].edge], to = l->to[ranks[r].edge];
      const int parent = fv_sketch_find(s, to);
      if (parent < 0 || fv_sketch_find(s, from) >= 0 || f->hop[from] != f->hop[to] + 1) continue;
      show_node(l, f, s, from, parent);
      more = true;
      break;
    }
  }
  for (int64_t r = 0; r < n; r++) {
    const int from = fv_sketch_find(s, adj->neighbour[ranks[r].edge]), to = fv_sketch_find(s, l->to[ranks[r].edge]);
    if (from >= 0 && to >= 0) fv_sketch_join(s, from, to, ranks[r].share);
  }
  for (int i = 0; i < s->h.n_nodes; i++)
    FV_REQUIRE(s->node[i].name, FV_ERR_MEMORY, "explain: out of memory");
  s->h.n_classes = (int)l->a.m->task.n_classes;
  put_title(l, f, node, s);
  return FV_OK;
}

static void put_terminal(const fv_sketch *s, fv_text *out) {
  enum { LINES = 12 };
  fv_text_printf(out, "%s\n  own features %.3f\n", s->title, s->node[0].share);
  for (int e = 0; e < FV_MIN(s->h.n_edges, LINES); e++) {
    const fv_drawn_node *from = &s->node[s->edge[e].from], *to = &s->node[s->edge[e].to];
    fv_text_printf(out, "  %.3f  %s <- %s  %s%s\n", s->edge[e].weight, to->name, from->name,
                   s->h.classes[from->of_class], from->known ? " (given)" : "");
  }
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static void put_node(const lens *l, const flow *f, const char *key, int64_t node, fv_json *j) {
  const fv_asked *a = &l->a;
  const int64_t c = class_of(a, a->p, node);
  fv_json_begin(j, key, '{');
  fv_json_text(j, "node", fv_adjacency_name(a->adj, node));
  fv_json_int(j, "hop", f->hop[node]);
  fv_json_real(j, "share", f->node[node]);
  fv_json_text(j, "label", a->m->classes[c]);
  fv_json_float(j, "probability", a->p[node * a->m->task.n_classes + c]);
  fv_json_text(j, "truth", a->adj->label[node] >= 0 ? a->m->classes[a->adj->label[node]] : NULL);
  fv_json_bool(j, "given", a->adj->split[node] == FV_SPLIT_TRAIN && a->adj->label[node] >= 0);
  fv_json_end(j, '}');
}

static void put_edge(const lens *l, const ranked *r, fv_json *j) {
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "from", fv_adjacency_name(l->a.adj, l->a.adj->neighbour[r->edge]));
  fv_json_text(j, "to", fv_adjacency_name(l->a.adj, l->to[r->edge]));
  fv_json_real(j, "share", r->share);
  fv_json_begin(j, "weights", '[');
  for (int layer = 0; layer < l->layers; layer++) fv_json_real(j, NULL, weight_of(l, layer, r->edge));
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

static void put_neighbourhood(const lens *l, const flow *f, int64_t node, const ranked *ranks, int64_t n, fv_json *j) {
  put_node(l, f, "node", node, j);
  fv_json_begin(j, "neighbours", '[');
  for (int64_t i = 0; i < l->a.adj->nodes; i++)
    if (f->hop[i] > 0) put_node(l, f, NULL, i, j);
  fv_json_end(j, ']');
  fv_json_begin(j, "edges", '[');
  for (int64_t r = 0; r < n; r++) put_edge(l, &ranks[r], j);
  fv_json_end(j, ']');
}

/* ---- fidelity ---------------------------------------------------------------------------------------------------- */
typedef struct cut {
  lens *l;
  const ranked *ranks;
  int64_t node;
} cut;

static fv_status look_without(void *arg, const int32_t *gone, int64_t n, const float **p) {
  const cut *c = arg;
  lens *l = c->l;
  for (int64_t k = 0; k < n; k++) l->neighbour[c->ranks[gone[k]].edge] = -1;
  fv_exec_run_split(l->r.exec[0], l->a.m->pool);
  for (int64_t k = 0; k < n; k++) {
    const int64_t e = c->ranks[gone[k]].edge;
    l->neighbour[e] = l->a.adj->neighbour[e];
  }
  *p = (const float *)fv_exec_output(l->r.exec[0], "probabilities")->data + c->node * l->a.m->task.n_classes;
  return FV_OK;
}

static fv_status measure_node(lens *l, int64_t node, const ranked *ranks, int64_t n, fv_fidelity *f) {
  const fv_asked *a = &l->a;
  const int64_t k = a->m->task.n_classes, c = class_of(a, a->p, node);
  cut without = {l, ranks, node};
  return fv_fidelity_add(
      f, &(fv_fidelity_sample){.number = node, .n = n, .classes = k, .label = a->adj->label[node], .answer = c,
                               .probability = (double)a->p[node * k + c], .look = look_without, .arg = &without});
}

/* Test nodes, evenly spaced. */
static fv_status measure(lens *l, flow *flows, int64_t wanted, fv_fidelity *f) {
  const fv_adjacency *adj = l->a.adj;
  int64_t count = 0, seen = 0, taken = 0;
  for (int64_t i = 0; i < adj->nodes; i++) count += adj->split[i] == FV_SPLIT_TEST && adj->label[i] >= 0;
  const int64_t n = FV_MIN(wanted ? wanted : SAMPLES, count);
  for (int64_t i = 0; i < adj->nodes && taken < n; i++) {
    ranked *ranks;
    int64_t edges;
    if (adj->split[i] != FV_SPLIT_TEST || adj->label[i] < 0 || seen++ != taken * count / n) continue;
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

/* ---- the request ------------------------------------------------------------------------------------------------- */
static fv_status explain(lens *l, const fv_explain_request *rq, flow *f, fv_sketch *s, fv_json *j) {
  const int64_t node = l->a.node[0];
  ranked *ranks = NULL;
  fv_text text = {0};
  int64_t n;
  fv_fidelity measured = {.things = "edges", .parts = FV_FIDELITY_PARTS};
  fv_status status = FV_OK;
  if (rq->faithfulness) FV_TRY(measure(l, f, rq->samples, &measured));
  flow_to(l, node, f);
  FV_TRY_DONE(rank_edges(l, f, &ranks, &n));
  FV_TRY_DONE(make_sketch(l, f, node, ranks, n, s));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "method", "attention");
  put_neighbourhood(l, f, node, ranks, n, j);
  if (rq->faithfulness) fv_fidelity_json(&measured, j);
  fv_explain_files(rq, j);
  if (rq->terminal) put_terminal(s, &text);
  if (rq->terminal) fv_json_text(j, "terminal", text.s);
  fv_json_end(j, '}');
  FV_REQUIRE_DONE(!text.failed, FV_ERR_MEMORY, "explain: out of memory");
  FV_TRY_DONE(fv_sketch_write(s, l->a.m, j, rq->out));
done:
  fv_text_free(&text);
  fv_free(ranks);
  return status;
}

fv_status fv_nodes_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  lens l = {.layers = 0};
  flow f = {NULL, NULL, NULL, NULL};
  fv_sketch *s = NULL;
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY(fv_graph_check_request(rq));
  FV_TRY_DONE(lens_open(m, rq->input ? rq->input : "test:0", rq->data, &l));
  FV_TRY_DONE(flow_new(l.a.adj, &f));
  FV_TRY_DONE(fv_sketch_new(m, &s));
  FV_TRY_DONE(explain(&l, rq, &f, s, &j));
done:
  lens_close(&l);
  flow_free(&f);
  fv_free(s);
  return fv_json_give(&j, status, "explain", json);
}
