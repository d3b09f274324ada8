/* SPDX-License-Identifier: Apache-2.0 */
/* explain_draw.c: maps and figures for people: a contact sheet, a page, a sketch in the terminal. */
#include "train/explain.h"

enum { SIDE = 160, ALL_METHODS_UP_TO = 4 };

/* ---- pictures -------------------------------------------------------------------------------------------------- */
static fv_status picture_of(const fv_explained *e, int64_t i, int up, fv_image *out) {
  const fv_shape *s = &e->lens->m->task.image;
  int h = (int)s->dim[0], w = (int)s->dim[1], channels = (int)s->dim[2];
  const uint8_t *in = e->shown->pixels + i * fv_shape_count(*s);
  FV_TRY(fv_image_new(w * up, h * up, 3, out));
  uint8_t *p = out->pixels;
  for (int y = 0; y < out->h; y++)
    for (int x = 0; x < out->w; x++, p += 3)
      for (int c = 0; c < 3; c++) p[c] = in[((int64_t)(y / up) * w + x / up) * channels + (channels >= 3 ? c : 0)];
  return FV_OK;
}

static int upscale_of(const fv_explained *e) {
  const int64_t *d = e->lens->m->task.image.dim;
  return (int)FV_MAX(SIDE / FV_MAX(d[0], d[1]), 1);
}

static fv_status overlay_of(const fv_explained *e, int view, int64_t i, int up, fv_image *out) {
  const fv_explain_view *v = &e->lens->view[view];
  const fv_sight *s = &e->shown->v[i];
  fv_image plain;
  float *pixels;
  int64_t peak[2];
  FV_TRY(FV_NEW(&pixels, fv_shape_count(e->lens->m->task.image)));
  fv_sight_peak(e->lens, e->shown, view, i, pixels, peak);
  fv_free(pixels);
  FV_TRY(picture_of(e, i, 1, &plain));
  fv_overlay o = {.colormap = FV_COLORMAP_IRIS,
                  .alpha = 0.75,
                  .upscale = up,
                  .marker = true,
                  .marker_x = (double)peak[0] + 0.5,
                  .marker_y = (double)peak[1] + 0.5,
                  .box = s->has_box,
                  .box_x = (double)s->box[0],
                  .box_y = (double)s->box[1],
                  .box_w = (double)(s->box[2] - s->box[0]),
                  .box_h = (double)(s->box[3] - s->box[1])};
  fv_status status = fv_heatmap_overlay(&plain, e->shown->map[view] + i * v->h * v->w, v->h, v->w, &o, out);
  fv_image_free(&plain);
  return status;
}

void fv_explain_caption(const fv_explained *e, int64_t i, char *text, size_t size) {
  const fv_sight *s = &e->shown->v[i];
  const char *const *names = e->lens->m->classes;
  snprintf(text, size, "%s%s\xe2\x86\x92 %s (%.2f)", s->label >= 0 ? names[s->label] : "", s->label >= 0 ? " " : "",
           names[s->prediction], (double)s->probability);
}

/* ---- contact sheet --------------------------------------------------------------------------------------------- */
/* A few images with every method; many with the one asked for. */
static bool sheet_has(const fv_explained *e, int view) { return view == e->view || e->n_shown <= ALL_METHODS_UP_TO; }

static fv_status fill_tiles(const fv_explained *e, fv_image *images, char (*captions)[96], fv_tile *tiles, int *n) {
  int up = upscale_of(e);
  for (int64_t i = 0; i < e->n_shown; i++) {
    fv_explain_caption(e, i, captions[*n], sizeof captions[*n]);
    FV_TRY(picture_of(e, i, up, &images[*n]));
    (*n)++;
    for (int v = 0; v < e->lens->n_views; v++) {
      if (!sheet_has(e, v)) continue;
      snprintf(captions[*n], sizeof captions[*n], "%s", e->lens->view[v].method->name);
      FV_TRY(overlay_of(e, v, i, up, &images[*n]));
      (*n)++;
    }
  }
  for (int k = 0; k < *n; k++) tiles[k] = (fv_tile){&images[k], captions[k]};
  return FV_OK;
}

static fv_status plot_sheet(const fv_explained *e, const char *path) {
  fv_image image;
  FV_TRY(fv_explain_plot(e, &image));
  fv_status status = fv_image_write_png(path, &image);
  fv_image_free(&image);
  return status;
}

fv_status fv_explain_sheet(const fv_explained *e, const char *path) {
  if (e->lens->texts) return fv_explain_text_sheet(e, path);
  if (e->lens->series) return plot_sheet(e, path);
  fv_status status = FV_OK;
  int64_t room = e->n_shown * (1 + e->lens->n_views);
  fv_image *images = NULL, sheet = {0};
  char(*captions)[96] = NULL;
  fv_tile *tiles = NULL;
  int n = 0, methods = 0;
  for (int v = 0; v < e->lens->n_views; v++) methods += sheet_has(e, v);
  FV_TRY_DONE(FV_NEW(&images, room));
  FV_TRY_DONE(FV_NEW(&captions, room));
  FV_TRY_DONE(FV_NEW(&tiles, room));
  FV_TRY_DONE(fill_tiles(e, images, captions, tiles, &n));
  int columns = methods > 1 ? 1 + methods : e->n_shown > 2 ? 6 : 2;
  FV_TRY_DONE(fv_contact_sheet(e->n_shown > 2 ? "Where the model looked" : NULL, tiles, n, columns, &sheet));
  FV_TRY_DONE(fv_image_write_png(path, &sheet));
done:
  for (int i = 0; images && i < room; i++) fv_image_free(&images[i]);
  fv_image_free(&sheet);
  fv_free(images);
  fv_free(captions);
  fv_free(tiles);
  return status;
}

/* ---- page ------------------------------------------------------------------------------------------------------ */
/* What the families call things. */
typedef struct wording {
  const char *title, *things, *units, *shown; /* "Where the model looked", "images", "cells", "Maps" */
  const char *taken, *left, *measure;         /* below and beside the curves */
} wording;

static const wording *wording_of(const fv_lens *lens) {
  static const wording images = {"Where the model looked", "images", "cells", "Maps", "cells taken away, %",
                                 "cells shown, %", "probability of the prediction"};
  static const wording texts = {"Which words counted", "texts", "words", "Texts", "words taken out, %",
                                "words left, %", "probability of the prediction"};
  static const wording series = {"Which rows counted", "windows", "segments", "Forecast", "segments flattened, %",
                                 "segments left, %", "agreement with the forecast"};
  return lens->texts ? &texts : lens->series ? &series : &images;
}

enum { COLUMNS = 8, CELL = 48 };

/* Order k of the figures: a view, or the one after them, random. */
static void page_row(const fv_faith *f, int k, const char *name, char (*text)[CELL]) {
  const double pointing = k < FV_EXPLAIN_METHODS ? f->pointing[k] : f->pointing_chance;
  snprintf(text[0], CELL, "%s", name);
  snprintf(text[1], CELL, "%.3f", f->deletion[k].auc);
  snprintf(text[2], CELL, "%.3f", f->insertion[k].auc);
  snprintf(text[3], CELL, "%.1f %%", 100 * pointing);
  snprintf(text[4], CELL, "%.3f", f->comprehensiveness[k]);
  snprintf(text[5], CELL, "%.3f", f->sufficiency[k]);
  snprintf(text[6], CELL, "%.3f", f->error_without[k]);
  snprintf(text[7], CELL, "%.3f", f->error_alone[k]);
}

static void page_table(fv_page *p, const fv_explained *e) {
  const fv_faith *f = e->faith;
  char text[(FV_EXPLAIN_METHODS + 2) * COLUMNS][CELL] = {
      "order", "deletion: lower is better", "insertion: higher is better", "peak in the box",
      "comprehensiveness: higher is better", "sufficiency: lower is better", "error without", "error of them alone"};
  const bool erased = !e->lens->images, errors = e->lens->series;
  const bool wanted[COLUMNS] = {true, true, true, f->has_boxes, erased, erased, errors, errors};
  const char *cells[FV_COUNT(text)];
  int64_t rows = 1, columns = 0, n = 0;
  for (int v = 0; v < e->lens->n_views; v++)
    if (f->measured[v]) page_row(f, v, e->lens->view[v].method->name, text + COLUMNS * rows++);
  page_row(f, FV_EXPLAIN_METHODS, "random", text + COLUMNS * rows++);
  for (int c = 0; c < COLUMNS; c++) columns += wanted[c];
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < COLUMNS; c++)
      if (wanted[c]) cells[n++] = text[r * COLUMNS + c];
  fv_page_table(p, cells, rows, columns);
}

static fv_status page_curves(fv_page *p, const fv_explained *e) {
  const fv_faith *f = e->faith;
  double x[FV_EXPLAIN_STEPS + 1];
  fv_series deletion[FV_EXPLAIN_METHODS + 1], insertion[FV_EXPLAIN_METHODS + 1];
  int n = 0;
  for (int s = 0; s <= FV_EXPLAIN_STEPS; s++) x[s] = 100.0 * s / FV_EXPLAIN_STEPS;
  for (int v = 0; v <= FV_EXPLAIN_METHODS; v++) {
    bool random = v == FV_EXPLAIN_METHODS;
    if (!random && !f->measured[v]) continue;
    fv_series series = {
        .name = random ? "random" : e->lens->view[v].method->name, .x = x, .n = FV_EXPLAIN_STEPS + 1, .dashed = random};
    deletion[n] = insertion[n] = series;
    deletion[n].y = f->deletion[v].p;
    insertion[n++].y = f->insertion[v].p;
  }
  const wording *w = wording_of(e->lens);
  fv_panel panels[] = {
      {.title = "Deletion", .x_label = w->taken, .y_label = w->measure, .series = deletion, .n_series = n},
      {.title = "Insertion", .x_label = w->left, .y_label = w->measure, .series = insertion, .n_series = n}};
  fv_image chart;
  char caption[96];
  FV_TRY(fv_figure_draw(&(fv_figure){.panels = panels, .n_panels = 2}, &chart));
  snprintf(caption, sizeof caption, "The mean over the %s; dashed: %s in random order", w->things, w->units);
  fv_status status = fv_page_image(p, &chart, chart.w / 2, caption);
  fv_image_free(&chart);
  return status;
}

static void page_how_series(fv_page *p, const fv_faith *f) {
  fv_page_paragraph(
      p,
      "Measured on %lld windows of the test split, whose past is cut into %d segments. Deletion gives the rows of "
      "segments the window's mean, most important first, in %d steps; insertion begins with a flat past and brings "
      "them back in the same order. What is watched is how much of the forecast stays: 1 is the forecast as it was, 0 "
      "that of a flat past, by mean squared difference. The number is the area below that curve. The random order is "
      "the mean of %d.",
      (long long)f->samples, f->cells_w, FV_EXPLAIN_STEPS, FV_EXPLAIN_RANDOM);
  fv_page_paragraph(
      p,
      "Comprehensiveness is what is lost when the first 5, 10, 20 and 50 %% of the segments are flattened, sufficiency "
      "what is lost when they alone are left; each is the mean of the four (DeYoung et al. 2020). The errors are those "
      "of the forecast against what came, standardised, in the same eight cases; as it is it errs by %.3f.",
      f->error);
}

static void page_how(fv_page *p, const fv_explained *e) {
  const fv_faith *f = e->faith;
  if (e->lens->series) {
    page_how_series(p, f);
    return;
  }
  if (e->lens->images) {
    fv_page_paragraph(
        p,
        "Measured on %lld images of the test split, cut into %dx%d cells. Deletion replaces the cells by the training "
        "mean, most important first, in %d steps; insertion shows them in the same order on nothing but that mean. The "
        "number is the area below the curve of the predicted class's probability. The random order is the mean of %d.",
        (long long)f->samples, f->cells_h, f->cells_w, FV_EXPLAIN_STEPS, FV_EXPLAIN_RANDOM);
    return;
  }
  fv_page_paragraph(
      p,
      "Measured on %lld texts of the test split. Deletion takes words out, most important first, in %d steps, and what "
      "is left closes up; insertion begins with nothing and puts them back in the same order. The number is the area "
      "below the curve of the predicted class's probability. The random order is the mean of %d.",
      (long long)f->samples, FV_EXPLAIN_STEPS, FV_EXPLAIN_RANDOM);
  fv_page_paragraph(
      p,
      "Comprehensiveness is what that probability loses when the first 5, 10, 20 and 50 %% of the words are taken out, "
      "sufficiency what it loses when they alone are left; each is the mean of the four (DeYoung et al. 2020).");
}

static fv_status page_faith(fv_page *p, const fv_explained *e) {
  const fv_faith *f = e->faith;
  const wording *w = wording_of(e->lens);
  fv_page_heading(p, "Does it matter where the map points?");
  if (!f) {
    fv_page_paragraph(
        p,
        "Not measured here. A map can look convincing and still not show what the decision rests on; ask for "
        "faithfulness to have it tested.");
    return FV_OK;
  }
  page_how(p, e);
  page_table(p, e);
  if (f->has_boxes)
    fv_page_paragraph(
        p,
        "Peak in the box: how often the map's highest point lies on the object (the pointing game). The row random "
        "gives the box's share of the image: what a point chosen blindly would reach.");
  FV_TRY(page_curves(p, e));
  fv_page_heading(p, "How to read this");
  fv_page_paragraph(
      p,
      "Attention is no proof. The weights say what the network let pass at one place inside it, not why it decided. "
      "A map deserves trust as far as its figures stand clearly apart from the random row: the %s falls sooner when "
      "its %s are taken, and rises sooner when they are shown. Where they do not, the picture is decoration. What is "
      "left of %s is unlike anything seen in training, so small differences mean little.",
      w->measure, w->units, w->things);
  return FV_OK;
}

static fv_status page_images(fv_page *p, const fv_explained *e) {
  int up = upscale_of(e);
  for (int64_t i = 0; i < e->n_shown; i++) {
    const fv_sight *s = &e->shown->v[i];
    fv_image image;
    char caption[96];
    fv_explain_caption(e, i, caption, sizeof caption);
    if (s->index >= 0) fv_page_paragraph(p, "Test image %lld", (long long)s->index);
    else fv_page_paragraph(p, "Image %lld", (long long)i + 1);
    FV_TRY(picture_of(e, i, up, &image));
    fv_status status = fv_page_image(p, &image, 0, caption);
    fv_image_free(&image);
    for (int v = 0; status == FV_OK && v < e->lens->n_views; v++) {
      status = overlay_of(e, v, i, up, &image);
      if (status == FV_OK) status = fv_page_image(p, &image, 0, e->lens->view[v].method->name);
      fv_image_free(&image);
    }
    FV_TRY(status);
  }
  return FV_OK;
}

static fv_status page_plot(fv_page *p, const fv_explained *e) {
  fv_image image;
  FV_TRY(fv_explain_plot(e, &image));
  fv_status status = fv_page_image(p, &image, image.w / 2, NULL);
  fv_image_free(&image);
  return status;
}

static fv_status page_fill(fv_page *p, const fv_explained *e) {
  const fv_model *m = e->lens->m;
  const wording *w = wording_of(e->lens);
  char lead[512];
  snprintf(lead, sizeof lead, "%s, trained on %s; %s%s%s", m->recipe->info.name, m->data,
           e->input ? "input: " : w->things, e->input ? "" : " of the test split of ", e->input ? e->input : e->data);
  fv_page_begin(p, w->title, lead);
  FV_TRY(page_faith(p, e));
  fv_page_heading(p, w->shown);
  for (int v = 0; !e->lens->images && v < e->lens->n_views; v++)
    fv_page_paragraph(p, "%s: %s.", e->lens->view[v].method->name, e->lens->view[v].method->doc);
  if (e->lens->series) return page_plot(p, e);
  if (e->lens->texts) {
    fv_page_paragraph(p, "Above each text: its label where known, then the prediction, its probability and the method. "
                         "The strongest word is marked fully, the others in proportion; the number shows when the "
                         "pointer rests on a word. Underlined words are not in the model's vocabulary: it read them "
                         "all as <unk>.");
    return fv_explain_text_page(p, e);
  }
  for (int v = 0; v < e->lens->n_views; v++)
    fv_page_paragraph(p, "%s (%dx%d): %s.", e->lens->view[v].method->name, e->lens->view[v].h, e->lens->view[v].w,
                      e->lens->view[v].method->doc);
  fv_page_paragraph(
      p,
      "Under each image: its label where known, then the prediction and its probability. The ring marks the highest "
      "point%s.",
                    e->shown->v[0].has_box ? ", the frame the object" : "");
  return page_images(p, e);
}

fv_status fv_explain_page(const fv_explained *e, const char *path) {
  fv_page page = {0};
  fv_status status = page_fill(&page, e);
  if (status == FV_OK) status = fv_page_write(&page, path);
  fv_page_free(&page);
  return status;
}

/* ---- terminal -------------------------------------------------------------------------------------------------- */
static void put_beside(const fv_image *from, int x, fv_image *to) {
  for (int y = 0; y < from->h; y++)
    memcpy(to->pixels + ((int64_t)y * to->w + x) * 3, from->pixels + (int64_t)y * from->w * 3, (size_t)from->w * 3);
}

fv_status fv_explain_terminal(const fv_explained *e, int columns, fv_text *out) {
  enum { GAP = 2 };
  if (e->lens->texts) return fv_explain_text_terminal(e, columns, out);
  if (e->lens->series) return fv_explain_plot_terminal(e, columns, out);
  const fv_explain_view *v = &e->lens->view[e->view];
  fv_status status = FV_OK;
  fv_image image = {0}, heat = {0}, both = {0};
  char caption[96];
  FV_TRY_DONE(picture_of(e, 0, 1, &image));
  FV_TRY_DONE(fv_heatmap_image(e->shown->map[e->view], v->h, v->w, FV_COLORMAP_IRIS, image.w, image.h, &heat));
  FV_TRY_DONE(fv_image_new(2 * image.w + GAP, image.h, 3, &both));
  put_beside(&image, 0, &both);
  put_beside(&heat, image.w + GAP, &both);
  fv_explain_caption(e, 0, caption, sizeof caption);
  fv_text_printf(out, "%s, %s\n", caption, v->method->name);
  FV_TRY_DONE(fv_term_image(&both, FV_MIN(columns > 0 ? columns : 80, both.w), fv_term_detect(1), out));
done:
  fv_image_free(&image);
  fv_image_free(&heat);
  fv_image_free(&both);
  return status;
}
