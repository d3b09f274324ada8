/* SPDX-License-Identifier: Apache-2.0 */
/* data.c: the datasets: what there is, what lies here, fetching and checking it. */
#include "cli.h"

/* ---- what is known of one ---------------------------------------------------------------------------------------- */
typedef struct files_state {
  int n, here;
  double missing; /* bytes */
} files_state;

static fv_status state_of(const fv_dataset_info *d, files_state *s) {
  *s = (files_state){0};
  for (const fv_data_file *f = d->files; f && f->path; f++, s->n++) {
    char *path = NULL;
    fv_status status = fv_data_locate(f, &path);
    if (status != FV_OK) return status;
    if (path) s->here++;
    else s->missing += (double)f->bytes;
    fv_string_free(path);
  }
  return FV_OK;
}

static json_t *files_json(const fv_dataset_info *d) {
  json_t *list = json_array();
  for (const fv_data_file *f = d->files; f && f->path; f++) {
    char *path = NULL;
    fv_status status = fv_data_locate(f, &path);
    if (status != FV_OK) {
      json_decref(list);
      return NULL;
    }
    json_array_append_new(list, json_pack("{s:s, s:s?, s:s, s:I, s:s?}", "path", f->path, "url", f->url, "sha256",
                                          f->sha256, "bytes", (json_int_t)f->bytes, "here", path));
    fv_string_free(path);
  }
  return list;
}

/* NULL after a failure that fv_error_message tells. */
static json_t *dataset_json(const fv_dataset_info *d) {
  json_t *files = files_json(d);
  if (!files) return NULL;
  return json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:o}", "name", d->name, "doc", d->doc, "shape", d->shape,
                   "licence", d->licence, "source", d->source, "cite", d->cite, "files", files);
}

/* ---- verbs ------------------------------------------------------------------------------------------------------- */
static int list_json(void) {
  json_t *all = json_array();
  for (int i = 0; i < fv_dataset_count(); i++) {
    fv_dataset_info d = fv_dataset_get_info(i);
    json_t *one = dataset_json(&d);
    if (!one) {
      json_decref(all);
      return cli_failed(FV_ERR_IO);
    }
    json_array_append_new(all, one);
  }
  return cli_print_json(json_pack("{s:o}", "datasets", all));
}

static int list(const cli_args *a) {
  if (a->json) return list_json();
  for (int i = 0; i < fv_dataset_count(); i++) {
    fv_dataset_info d = fv_dataset_get_info(i);
    files_state s;
    cli_text text;
    char where[96];
    fv_status status = state_of(&d, &s);
    if (status != FV_OK) return cli_failed(status);
    if (s.n == s.here) snprintf(where, sizeof where, "%s", s.n ? "here" : "built in");
    else snprintf(where, sizeof where, "to fetch: %s", cli_bytes(s.missing, text));
    printf("  %-18s  %-20s  %s\n", d.name, where, d.shape ? d.shape : "");
  }
  return 0;
}

static int info(const cli_args *a, int i) {
  fv_dataset_info d = fv_dataset_get_info(i);
  if (a->json) {
    json_t *object = dataset_json(&d);
    return object ? cli_print_json(object) : cli_failed(FV_ERR_IO);
  }
  const char *const rows[][2] = {
      {"about", d.doc}, {"shape", d.shape}, {"licence", d.licence}, {"source", d.source}, {"cite", d.cite}};
  printf("%s\n", d.name);
  for (size_t r = 0; r < CLI_COUNT_OF(rows); r++)
    if (rows[r][1]) cli_wrap(rows[r][0], 7, rows[r][1]);
  for (const fv_data_file *f = d.files; f && f->path; f++) {
    char *path = NULL;
    cli_text text;
    fv_status status = fv_data_locate(f, &path);
    if (status != FV_OK) return cli_failed(status);
    printf("  file     %s  %s\n           %s\n           SHA-256 %s\n", f->path, cli_bytes((double)f->bytes, text),
           path     ? path
           : f->url ? f->url
                    : "to be put into FOVEA_DATA_MIRROR",
           f->sha256);
    fv_string_free(path);
  }
  return 0;
}

typedef fv_status data_work(int i, fv_progress *progress, void *arg);

/* get, verify: work over a dataset's files, then where they are. */
static int work_on(const cli_args *a, int i, data_work *work, const char *done) {
  fv_dataset_info d = fv_dataset_get_info(i);
  cli_progress p = cli_progress_new(a);
  if (work == fv_data_verify) p.verb = "checking";
  fv_stop_catch();
  fv_status status = work(i, cli_progress_data, &p);
  cli_progress_end(&p);
  if (status != FV_OK) return cli_failed(status);
  json_t *files = files_json(&d);
  if (!files) return cli_failed(FV_ERR_IO);
  if (a->json) return cli_print_json(json_pack("{s:s, s:o, s:b}", "dataset", d.name, "files", files, done, 1));
  size_t f;
  json_t *file;
  if (!a->quiet) printf("%s: %s\n", d.name, json_array_size(files) ? done : "built in, no files");
  json_array_foreach(files, f, file) if (!a->quiet) printf("  %s\n", json_string_value(json_object_get(file, "here")));
  json_decref(files);
  return 0;
}

/* Every dataset of which all files are here. */
static int verify_all(const cli_args *a) {
  json_t *names = json_array();
  cli_progress p = cli_progress_new(a);
  fv_status status = FV_OK;
  p.verb = "checking";
  for (int i = 0; i < fv_dataset_count() && status == FV_OK; i++) {
    fv_dataset_info d = fv_dataset_get_info(i);
    files_state s;
    status = state_of(&d, &s);
    if (status != FV_OK || s.n == 0 || s.here < s.n) continue;
    status = fv_data_verify(i, cli_progress_data, &p);
    cli_progress_end(&p);
    if (status != FV_OK) continue;
    json_array_append_new(names, json_string(d.name));
    if (!a->json && !a->quiet) printf("%s: verified\n", d.name);
  }
  if (status == FV_OK && a->json) return cli_print_json(json_pack("{s:o}", "verified", names));
  json_decref(names);
  return status == FV_OK ? 0 : cli_failed(status);
}

static int find(const char *verb, const char *name) {
  const char *names[256] = {NULL};
  char where[64];
  int found = fv_dataset_find(name);
  for (int i = 0; i < fv_dataset_count() && i + 1 < (int)CLI_COUNT_OF(names); i++)
    names[i] = fv_dataset_get_info(i).name;
  snprintf(where, sizeof where, "fovea data %s", verb);
  if (found < 0) cli_refuse_name("dataset", where, name, names);
  return found;
}

static int run(const cli_args *a) {
  const char *verb = a->names[0];
  bool lists = strcmp(verb, "list") == 0, verifies = strcmp(verb, "verify") == 0;
  if (lists && a->n_names > 1) return cli_refuse("fovea data list: expected no more words, got '%s'", a->names[1]);
  if (lists) return list(a);
  if (verifies && a->n_names == 1) return verify_all(a);
  if (a->n_names == 1) return cli_refuse("fovea data %s: expected the name of a dataset, got none", verb);
  int i = find(verb, a->names[1]);
  if (i < 0) return 2;
  if (strcmp(verb, "info") == 0) return info(a, i);
  return verifies ? work_on(a, i, fv_data_verify, "verified") : work_on(a, i, fv_data_get, "ready");
}

static const char *const verbs[] = {"list", "get", "info", "verify", NULL};
static const cli_option options[] = {CLI_JSON, CLI_QUIET, {0}};
extern const cli_command cli_data;
const cli_command cli_data = {
    .name = "data",
    .usage = "list|get|info|verify [NAME]",
    .options = options,
    .min_names = 1,
    .max_names = 2,
    .verbs = verbs,
    .wants = "list, get, info or verify and a dataset",
    .run = run,
    .doc = "datasets: what there is, fetching, checking",
    .more =
        "Files are looked for in $FOVEA_DATA_MIRROR (a directory or an address), where system packages put them, and "
        "in the "
        "cache ($FOVEA_CACHE or ~/.cache/fovea); what is nowhere is fetched from its official address. Each is checked "
        "by its SHA-256."};
