/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: see run.h. */
#include "run.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- training ---------------------------------------------------------------------------------------------------- */
enum { MOST_SETS = 64, TAIL = 5 };

typedef struct sets {
  char text[1024];
  fv_setting v[MOST_SETS];
  int n;
} sets;

static void sets_of(const ck_run *run, sets *s) {
  const char *given = run->sets ? run->sets : "", *here = strstr(given, CK_HERE);
  const char *instead = here && run->model->instead ? run->model->instead : "";
  char *save = NULL;
  snprintf(s->text, sizeof s->text, "%s %.*s %s %s", run->model->shrink, here ? (int)(here - given) : 0, given, instead,
           here ? here + strlen(CK_HERE) : given);
  s->n = 0;
  for (char *word = strtok_r(s->text, " ", &save); word && s->n < MOST_SETS; word = strtok_r(NULL, " ", &save)) {
    char *equals = strchr(word, '=');
    if (!equals) continue;
    *equals = 0;
    s->v[s->n++] = (fv_setting){word, equals + 1};
  }
}

typedef struct watch {
  const ck_run *run;
  ck_result *result;
  int64_t in_epoch;
  double sum, tail[TAIL];
} watch;

/* Reports give the mean over the epoch so far; a step's own loss is what it added to the sum. */
static void on_event(void *arg, const fv_train_event *e) {
  watch *w = arg;
  if (e->text && strcmp(e->phase, "note") == 0) w->result->notes++;
  if (strcmp(e->phase, "epoch") == 0) w->in_epoch = 0, w->sum = 0;
  if (strcmp(e->phase, "train") != 0) return;
  double sum = e->loss * (double)++w->in_epoch, loss = sum - w->sum;
  w->sum = sum;
  if (e->step == 1) w->result->first = loss;
  w->tail[e->step % TAIL] = loss;
  w->result->last = 0;
  for (int i = 0; i < TAIL; i++) w->result->last += w->tail[i] / TAIL;
  if (e->step == w->run->stop_at) raise(SIGTERM);
}

static fv_train_request request_of(const ck_run *run, const sets *s) {
  return (fv_train_request){.recipe = run->model->recipe, .data = run->data, .preset = run->model->preset,
                            .out = run->out, .sets = s->v, .n_sets = s->n, .threads = run->threads,
                            .resume = run->resume};
}

ck_result ck_train(const ck_run *run) {
  ck_result result = {0};
  watch w = {.run = run, .result = &result};
  sets s;
  char *json = NULL;
  sets_of(run, &s);
  fv_train_request rq = request_of(run, &s);
  rq.report = on_event;
  rq.arg = &w;
  result.status = fv_train(&rq, &json);
  if (result.status != FV_OK) snprintf(result.message, sizeof result.message, "%s", fv_error_message());
  else if (fv_json_parse(json, strlen(json), "result", (size_t)1 << 20, &result.json) != FV_OK)
    result.status = FV_ERR_INTERNAL;
  fv_string_free(json);
  return result;
}

fv_status ck_plan(const ck_run *run, json_t **json) {
  sets s;
  char *text = NULL;
  *json = NULL;
  sets_of(run, &s);
  fv_train_request rq = request_of(run, &s);
  FV_TRY(fv_plan(&rq, &text));
  fv_status status = fv_json_parse(text, strlen(text), "plan", (size_t)1 << 20, json);
  fv_string_free(text);
  return status;
}

void ck_result_free(ck_result *result) {
  json_decref(result->json);
  *result = (ck_result){0};
}

int64_t ck_result_int(const ck_result *result, const char *key) {
  const json_t *v = json_object_get(result->json, key);
  return json_is_integer(v) ? json_integer_value(v) : -1;
}

const char *ck_result_text(const ck_result *result, const char *key) {
  const char *text = json_string_value(json_object_get(result->json, key));
  return text ? text : "none";
}

bool ck_result_is(ck_report *r, const ck_result *result, fv_status wanted, const char *words) {
  const char *text = result->message;
  bool as_wanted = result->status == wanted;
  if (!as_wanted)
    ck_problem(r, "expected %s, got %s: %s", wanted == FV_OK ? "success" : fv_status_name(wanted),
               result->status == FV_OK ? "success" : fv_status_name(result->status), text);
  else if (wanted != FV_OK && (!*text || strchr(text, '\n') || (words && !strstr(text, words))))
    ck_problem(r, "expected one line with '%s', got '%s'", words ? words : "", text);
  return as_wanted;
}

/* ---- directories ------------------------------------------------------------------------------------------------- */
bool ck_place_new(ck_report *r, ck_path root) {
  const char *tmp = getenv("TMPDIR");
  snprintf(root, CK_PATH, "%s/fovea-check-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (mkdtemp(root) && chmod(root, 0755) == 0) return true;
  ck_problem(r, "cannot make a directory %s", root);
  return false;
}

void ck_place_remove(const char *root) {
  if (fv_dir_remove(root) != FV_OK) fprintf(stderr, "check: %s\n", fv_error_message());
}

const char *ck_place_join(const char *root, const char *name, ck_path path) {
  int n = snprintf(path, CK_PATH, "%s/%s", root, name);
  if (n < 0 || n >= CK_PATH) path[0] = 0; /* an empty name is refused by whatever opens it */
  return path;
}

static void digest_dir(const char *dir, fv_sha256 *sha) {
  fv_arena *arena;
  char **names, hex[65];
  size_t n = 0;
  ck_path path;
  if (fv_arena_new(&arena) != FV_OK) return;
  if (fv_dir_list(dir, arena, &names, &n) != FV_OK) n = 0;
  for (size_t i = 0; i < n; i++) {
    ck_place_join(dir, names[i], path);
    fv_sha256_update(sha, names[i], strlen(names[i]) + 1);
    if (fv_path_is_dir(path)) digest_dir(path, sha);
    else if (fv_sha256_file(path, hex) == FV_OK) fv_sha256_update(sha, hex, 64);
  }
  fv_arena_free(arena);
}

void ck_place_digest(const char *out, char hex[65]) {
  fv_sha256 sha;
  fv_sha256_init(&sha);
  digest_dir(out, &sha);
  fv_sha256_final(&sha, hex);
}

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), k = strlen(end);
  return n >= k && strcmp(s + n - k, end) == 0;
}

/* Each line of it, and nothing after the last. */
static fv_status check_lines(const uint8_t *p, size_t n, const char *what) {
  for (const uint8_t *at = p, *end; at < p + n; at = end + 1) {
    json_t *root = NULL;
    end = memchr(at, '\n', (size_t)(p + n - at));
    FV_REQUIRE(end, FV_ERR_CORRUPT, "%s: expected a whole last line, got half of one", what);
    FV_TRY(fv_json_parse(at, (size_t)(end - at), what, (size_t)1 << 20, &root));
    json_decref(root);
  }
  return FV_OK;
}

static fv_status check_file(const char *path) {
  fv_map map;
  json_t *root = NULL;
  fv_safetensors *file = NULL;
  fv_status status = FV_OK;
  if (ends_with(path, ".part")) return FV_FAIL(FV_ERR_CORRUPT, "%s: expected no half-written file, got one", path);
  FV_TRY(fv_map_open(path, &map));
  if (ends_with(path, ".safetensors")) status = fv_safetensors_parse(map.data, map.size, path, &file);
  else if (ends_with(path, ".json")) status = fv_json_parse(map.data, map.size, path, (size_t)1 << 24, &root);
  else if (ends_with(path, ".jsonl")) status = check_lines(map.data, map.size, path);
  fv_safetensors_close(file);
  json_decref(root);
  fv_map_close(&map);
  return status;
}

void ck_place_sound(ck_report *r, const char *out) {
  ck_path path;
  DIR *d = opendir(out);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    ck_place_join(out, e->d_name, path);
    if (fv_path_is_dir(path)) ck_place_sound(r, path);
    else if (check_file(path) != FV_OK) ck_problem(r, "left behind: %s", fv_error_message());
  }
  if (d) closedir(d);
}

bool ck_file_read(const char *path, uint8_t **bytes, size_t *n) {
  return fv_file_read(path, (size_t)1 << 28, bytes, n) == FV_OK;
}

bool ck_file_write(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  bool sound = f && (n == 0 || fwrite(bytes, 1, n, f) == n);
  return f && fclose(f) == 0 && sound;
}

/* ---- other processes --------------------------------------------------------------------------------------------- */
void ck_say(ck_message *m, const char *fmt, ...) {
  if (m->problems++) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(m->text, sizeof m->text, fmt, args);
  va_end(args);
}

pid_t ck_child_start(ck_body *body, void *arg, ck_message **message) {
  ck_message *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  *message = m == MAP_FAILED ? NULL : m;
  if (!*message) return -1;
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) return pid;
  body(arg, m);
  fflush(NULL);
  exit(0); /* with the checks a sanitizer makes at the end */
}

void ck_child_join(ck_report *r, pid_t pid, ck_message *m) {
  int how = 0;
  if (pid < 0 || waitpid(pid, &how, 0) != pid) ck_problem(r, "cannot start another process");
  else if (WIFSIGNALED(how) && WTERMSIG(how) != SIGKILL)
    ck_problem(r, "crashes at %lld: signal %d (%s)", (long long)m->at, WTERMSIG(how), strsignal(WTERMSIG(how)));
  else if (WIFEXITED(how) && WEXITSTATUS(how) != 0)
    ck_problem(r, "ends with status %d at %lld", WEXITSTATUS(how), (long long)m->at);
  if (m && m->problems) ck_problem(r, "%s%s", m->text, m->problems > 1 ? " (and more)" : "");
}

void ck_message_free(ck_message *m) {
  if (m) munmap(m, sizeof *m);
}

bool ck_child_run(ck_report *r, ck_body *body, void *arg) {
  ck_message *m;
  pid_t pid = ck_child_start(body, arg, &m);
  ck_child_join(r, pid, m);
  bool skipped = m && m->skipped;
  ck_message_free(m);
  return !skipped;
}
