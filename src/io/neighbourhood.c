/* SPDX-License-Identifier: Apache-2.0 */
/* neighbourhood.c: a node of a graph with those that it hears of, for people: as a picture, the node in the middle and
 * others on rings around it, each behind the one through which most comes; or as a text for Graphviz. */
#include "io/canvas.h"

#include <math.h>

enum { SIDE = 900, TOP = 44, LEGEND = 52, RADIUS = 380, FONT = 12 };

static const uint32_t colours[] = {0x4477aa, 0xee6677, 0x228833, 0xccbb44, 0x66ccee, 0xaa3377, 0xbbbbbb, 0xee7733,
                                   0x009988, 0x882255};
static uint32_t colour_of(int of_class) { return of_class < 0 ? 0x999999 : colours[of_class % (int)FV_COUNT(colours)]; }

/* ---- places ------------------------------------------------------------------------------------------------------ */
typedef struct place {
  double x, y, from, width; /* the part of the circle that is its own and its children's */
  int leaves;
} place;

/* Parents come before their children: leaves are counted from the end, shares given from the beginning. */
static void lay_out(const fv_neighbourhood *h, place *at) {
  int rings = 1;
  for (int i = h->n_nodes - 1; i >= 0; i--) {
    at[i].leaves = FV_MAX(at[i].leaves, 1);
    if (i > 0) at[h->node[i].parent].leaves += at[i].leaves;
    rings = FV_MAX(rings, h->node[i].hop);
  }
  at[0] = (place){.width = 4 * acos(0), .leaves = at[0].leaves};
  for (int i = 1; i < h->n_nodes; i++) {
    place *p = &at[i], *parent = &at[h->node[i].parent];
    int all = 0;
    for (int k = 1; k < h->n_nodes; k++) all += h->node[k].parent == h->node[i].parent ? at[k].leaves : 0;
    p->width = parent->width * p->leaves / FV_MAX(all, 1);
    p->from = parent->from;
    for (int k = 1; k < i; k++)
      if (h->node[k].parent == h->node[i].parent) p->from += at[k].width;
    const double angle = p->from + p->width / 2, r = RADIUS * (double)h->node[i].hop / rings;
    p->x = r * cos(angle);
    p->y = r * sin(angle);
  }
}

/* ---- the picture ------------------------------------------------------------------------------------------------- */
static double x_of(const place *p) { return SIDE / 2.0 + p->x; }
static double y_of(const place *p) { return TOP + SIDE / 2.0 + p->y; }

static void put_edges(fv_canvas *cv, const fv_neighbourhood *h, const place *at) {
  double most = 0;
  for (int e = 0; e < h->n_edges; e++) most = fmax(most, h->edge[e].weight);
  for (int e = h->n_edges - 1; e >= 0; e--) { /* those listed first on top */
    const double share = most > 0 ? h->edge[e].weight / most : 0;
    const uint32_t grey = (uint32_t)lrint(225 * (1 - sqrt(share)));
    fv_canvas_colour(cv, grey << 16 | grey << 8 | grey);
    cv->c.set_line_width(cv->cr, 0.6 + 5 * share);
    fv_canvas_line(cv, x_of(&at[h->edge[e].from]), y_of(&at[h->edge[e].from]), x_of(&at[h->edge[e].to]),
                   y_of(&at[h->edge[e].to]));
  }
}

static void put_node(fv_canvas *cv, const fv_drawn_node *node, const place *p, double most, bool middle) {
  const double r = (middle ? 13 : 6) + 9 * sqrt(most > 0 ? node->share / most : 0), turn = 4 * acos(0);
  cv->c.new_path(cv->cr);
  cv->c.arc(cv->cr, x_of(p), y_of(p), r, 0, turn);
  fv_canvas_colour(cv, colour_of(node->of_class));
  cv->c.fill(cv->cr);
  if (node->known) {
    cv->c.new_path(cv->cr);
    cv->c.arc(cv->cr, x_of(p), y_of(p), r, 0, turn);
    fv_canvas_colour(cv, 0x111111);
    cv->c.set_line_width(cv->cr, 2.5);
    cv->c.stroke(cv->cr);
  }
  fv_canvas_colour(cv, 0x222222);
  fv_canvas_text(cv, x_of(p), y_of(p) + r + FONT, FV_ALIGN_CENTRE, node->name);
}

static void put_legend(fv_canvas *cv, const fv_neighbourhood *h) {
  double x = 20, y = TOP + SIDE;
  for (int c = 0; c < h->n_classes; c++) {
    const double width = 16 + fv_canvas_text_width(cv, h->classes[c]) + 18;
    if (x + width > SIDE) x = 20, y += 22;
    fv_canvas_colour(cv, colour_of(c));
    cv->c.rectangle(cv->cr, x, y, 12, 12);
    cv->c.fill(cv->cr);
    fv_canvas_colour(cv, 0x222222);
    fv_canvas_text(cv, x + 16, y + 10, FV_ALIGN_LEFT, h->classes[c]);
    x += width;
  }
}

fv_status fv_neighbourhood_picture(const fv_neighbourhood *h, fv_image *out) {
  fv_canvas cv = {0};
  place *at;
  double most = 0;
  *out = (fv_image){0};
  FV_TRY(FV_NEW(&at, h->n_nodes));
  fv_status status = fv_canvas_open(SIDE, TOP + SIDE + LEGEND, 2, &cv);
  if (status == FV_OK) {
    lay_out(h, at);
    for (int i = 0; i < h->n_nodes; i++) most = fmax(most, h->node[i].share);
    put_edges(&cv, h, at);
    fv_canvas_font(&cv, FONT, false);
    for (int i = h->n_nodes - 1; i >= 0; i--) put_node(&cv, &h->node[i], &at[i], most, i == 0);
    put_legend(&cv, h);
    fv_canvas_font(&cv, FONT + 4, true);
    fv_canvas_text(&cv, 20, TOP - 16, FV_ALIGN_LEFT, h->title);
    status = fv_canvas_finish(&cv, out);
  }
  fv_free(at);
  return status;
}

/* ---- Graphviz ---------------------------------------------------------------------------------------------------- */
static void put_quoted(fv_text *t, const char *s) {
  fv_text_append(t, "\"", 1);
  for (; *s; s++) {
    if (*s == '"' || *s == '\\') fv_text_append(t, "\\", 1);
    fv_text_append(t, *s == '\n' ? " " : s, 1);
  }
  fv_text_append(t, "\"", 1);
}

void fv_neighbourhood_dot(const fv_neighbourhood *h, fv_text *out) {
  fv_text_printf(out, "digraph neighbourhood {\n  layout=twopi; root=n0; label=");
  put_quoted(out, h->title);
  fv_text_printf(out, ";\n  node [style=filled, fontname=sans, fontcolor=white];\n");
  for (int i = 0; i < h->n_nodes; i++) {
    fv_text_printf(out, "  n%d [label=", i);
    put_quoted(out, h->node[i].name);
    fv_text_printf(out, ", fillcolor=\"#%06x\", penwidth=%d, tooltip=", colour_of(h->node[i].of_class),
                   h->node[i].known ? 3 : 1);
    put_quoted(out, h->node[i].of_class >= 0 ? h->classes[h->node[i].of_class] : "");
    fv_text_printf(out, "];\n");
  }
  for (int e = 0; e < h->n_edges; e++)
    fv_text_printf(out, "  n%d -> n%d [penwidth=%.3f, tooltip=\"%.4f\", weight=%d];\n", h->edge[e].from, h->edge[e].to,
                   0.3 + 20 * h->edge[e].weight, h->edge[e].weight, 1 + (int)(100 * h->edge[e].weight));
  fv_text_printf(out, "}\n");
}
