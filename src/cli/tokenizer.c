/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.c: learning a vocabulary, text to ids, ids to text. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int choice_of(const char *text, const char *const *names, int otherwise) {
  for (int i = 0; text && names[i]; i++)
    if (strcmp(text, names[i]) == 0) return i;
  return otherwise;
}

/* What the files given are read as; `columns` has room for one name and the end. */
static fv_text_options reading(const cli_args *a, fv_encoding otherwise, const char **columns) {
  columns[0] = a->column, columns[1] = NULL;
  return (fv_text_options){.format = (fv_text_format)choice_of(a->format, fv_text_format_names, FV_TEXT_AUTO),
                           .encoding = (fv_encoding)choice_of(a->encoding, fv_encoding_names, (int)otherwise),
                           .columns = a->column ? columns : NULL,
                           .allow_empty = true,
                           .skip_bad = a->skip_bad};
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- train ------------------------------------------------------------------------------------------------------- */
typedef struct learnt {
  int64_t texts, bytes, skipped;
} learnt;

static fv_status learn_file(const cli_args *a, const char *path, fv_tokenizer_trainer *trainer, learnt *sum) {
  const char *columns[2];
  fv_text_options o = reading(a, FV_ENCODING_UTF8, columns);
  fv_text_table *table;
  fv_status status = fv_text_table_open(path, &o, &table);
  if (status != FV_OK) return status;
  if (fv_text_table_first_bad(table) && !a->json && !a->quiet)
    printf("skipped %lld: %s\n", (long long)fv_text_table_skipped(table), fv_text_table_first_bad(table));
  sum->skipped += fv_text_table_skipped(table);
  for (int64_t i = 0; i < fv_text_table_rows(table) && status == FV_OK; i++)
    for (int c = 0; c < fv_text_table_columns(table) && status == FV_OK; c++) {
      fv_bytes text = fv_text_table_get(table, i, c);
      status = fv_tokenizer_trainer_add(trainer, text.s, text.n);
      sum->texts++, sum->bytes += (int64_t)text.n;
    }
  fv_text_table_free(table);
  return status;
}

static int report(const cli_args *a, const fv_tokenizer *t, const learnt *sum, double time) {
  json_t *result = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "tokenizer", a->out, "kind",
                             fv_tokenizer_kind_names[fv_tokenizer_get_kind(t)], "tokens",
                             (json_int_t)fv_tokenizer_size(t), "texts", (json_int_t)sum->texts, "bytes",
                             (json_int_t)sum->bytes, "skipped", (json_int_t)sum->skipped, "seconds", time);
  if (a->json) return cli_print_json(result);
  if (!a->quiet && result) cli_print_table(result);
  json_decref(result);
  return result ? 0 : cli_out_of_memory();
}

static int train(const cli_args *a) {
  fv_tokenizer_trainer *trainer;
  fv_tokenizer *t = NULL;
  learnt sum = {0};
  double start = seconds();
  fv_tokenizer_options o = {
      .kind = (fv_tokenizer_kind)choice_of(a->kind, fv_tokenizer_kind_names, FV_TOKENIZER_BPE),
      .size = a->size,
      .min_count = a->min_count,
      .lower = a->lower,
      .normal = (fv_normal_form)choice_of(a->normal, fv_normal_form_names, FV_NORMAL_NONE)};
  if (!a->out) return cli_refuse("fovea tokenizer train: expected --out FILE, got none");
  if (a->n_names < 2) return cli_refuse("fovea tokenizer train: expected files of text, got none");
  fv_status status = fv_tokenizer_trainer_new(&o, &trainer);
  if (status != FV_OK) return cli_failed(status);
  for (int i = 1; i < a->n_names && status == FV_OK; i++) status = learn_file(a, a->names[i], trainer, &sum);
  if (status == FV_OK) status = fv_tokenizer_trainer_finish(trainer, &t);
  else fv_tokenizer_trainer_free(trainer);
  if (status == FV_OK) status = fv_tokenizer_save(t, a->out);
  int code = status == FV_OK ? report(a, t, &sum, seconds() - start) : cli_failed(status);
  fv_tokenizer_free(t);
  return code;
}

/* ---- whole files, for --whole ------------------------------------------------------------------------------------ */
static int refuse_file(const char *path, FILE *f) {
  cli_refuse("read (%s): expected a readable file, got %s", path, errno ? strerror(errno) : "an error");
  if (f && f != stdin) fclose(f);
  return 2;
}

/* 0 and fresh memory, or the exit status of a failure that was told. */
static int read_whole(const char *path, char **text, size_t *n) {
  size_t room = 1 << 16, got;
  FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  *text = NULL, *n = 0;
  if (!f) return refuse_file(path, f);
  for (;;) {
    char *grown = *text && *n < room ? *text : realloc(*text, room *= 2);
    if (!grown) {
      free(*text);
      if (f != stdin) fclose(f);
      return cli_out_of_memory();
    }
    *text = grown;
    errno = 0;
    got = fread(*text + *n, 1, room - *n, f);
    *n += got;
    if (got == 0) break;
  }
  if (ferror(f)) {
    free(*text);
    return refuse_file(path, f);
  }
  if (f != stdin) fclose(f);
  return 0;
}

/* ---- encode, decode ---------------------------------------------------------------------------------------------- */
typedef struct work {
  const cli_args *a;
  fv_tokenizer *t;
  fv_encoder *encoder;
  int32_t *id; /* for decode */
  size_t room;
  int64_t texts;
} work;
typedef int text_work(work *w, fv_bytes text, const char *file, int64_t line);

static int put_ids(work *w, fv_bytes text, const char *file, int64_t line) {
  fv_tokens tokens;
  fv_status status = fv_encoder_run(w->encoder, text.s, text.n, w->a->specials ? FV_ENCODE_SPECIALS : 0, &tokens);
  (void)file, (void)line;
  if (status != FV_OK) return cli_failed(status);
  if (w->a->json) printf("%s{\"ids\": [", w->texts++ ? ", " : "");
  for (int64_t i = 0; i < tokens.n; i++) printf(i == 0 ? "%d" : w->a->json ? ", %d" : " %d", tokens.id[i]);
  if (!w->a->json) return putchar('\n'), 0;
  fputs("], \"spans\": [", stdout);
  for (int64_t i = 0; i < tokens.n; i++)
    printf("%s[%d, %d]", i ? ", " : "", tokens.span[i].from, tokens.span[i].to);
  fputs("]}", stdout);
  return 0;
}

/* The bytes as a JSON text; a byte that is not UTF-8 becomes U+FFFD. */
static int put_json_text(const char *s, size_t n) {
  json_t *text = NULL;
  char *fixed = malloc(3 * n + 1), *printed = NULL;
  size_t m = 0;
  for (size_t i = 0; fixed && i < n;) {
    size_t good = fv_utf8_valid(s + i, n - i);
    memcpy(fixed + m, s + i, good);
    m += good, i += good;
    if (i == n) break;
    memcpy(fixed + m, "\xef\xbf\xbd", 3);
    m += 3, i++;
  }
  if (fixed) text = json_stringn(fixed, m);
  if (text) printed = json_dumps(text, JSON_ENCODE_ANY);
  if (printed) fputs(printed, stdout);
  int code = printed ? 0 : cli_out_of_memory();
  free(printed);
  json_decref(text);
  free(fixed);
  return code;
}

static bool add_id(work *w, int64_t n, int64_t id) {
  if ((size_t)n >= w->room) {
    size_t room = w->room ? 2 * w->room : 256;
    int32_t *grown = realloc(w->id, room * sizeof *grown);
    if (!grown) return false;
    w->id = grown, w->room = room;
  }
  w->id[n] = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1; /* -1: refused by the decoder */
  return true;
}

static int put_text(work *w, fv_bytes line, const char *file, int64_t number) {
  int64_t n = 0, id;
  char word[24], *text;
  size_t size;
  for (size_t at = 0; at < line.n;) {
    size_t length = 0;
    while (at < line.n && memchr(" \t\r\n", line.s[at], 4)) at++;
    while (at + length < line.n && !memchr(" \t\r\n", line.s[at + length], 4)) length++;
    if (length == 0) break;
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), line.s + at);
    if (length >= sizeof word || !fv_parse_int(word, &id))
      return cli_refuse("ids (%s:%lld): expected whole numbers, got '%s'", file, (long long)number, word);
    if (!add_id(w, n++, id)) return cli_out_of_memory();
    at += length;
  }
  fv_status status = fv_tokenizer_decode(w->t, w->id, n, w->a->specials, &text, &size);
  if (status != FV_OK) return cli_failed(status);
  int code = 0;
  if (w->a->json) {
    if (w->texts++) fputs(", ", stdout);
    code = put_json_text(text, size);
  } else {
    fwrite(text, 1, size, stdout);
    if (!w->a->whole) putchar('\n');
  }
  fv_string_free(text);
  return code;
}

static int each_line(work *w, const char *path, text_work *task) {
  const char *columns[2];
  fv_text_options o = reading(w->a, FV_ENCODING_BYTES, columns);
  fv_text_table *table;
  if (task == put_text) o = (fv_text_options){.format = FV_TEXT_LINES, .allow_empty = true};
  fv_status status = fv_text_table_open(path, &o, &table);
  int code = 0;
  if (status != FV_OK) return cli_failed(status);
  for (int64_t i = 0; i < fv_text_table_rows(table) && code == 0; i++)
    code = task(w, fv_text_table_get(table, i, 0), fv_text_table_file(table), fv_text_table_line(table, i));
  fv_text_table_free(table);
  return code;
}

static int each_file(work *w, const char *path, text_work *task) {
  char *text;
  size_t n;
  if (!w->a->whole) return each_line(w, path, task);
  int code = read_whole(path, &text, &n);
  if (code != 0) return code;
  code = task(w, (fv_bytes){text, n}, path, 1);
  free(text);
  return code;
}

static int convert(const cli_args *a, text_work *task) {
  work w = {.a = a};
  if (a->n_names < 2)
    return cli_refuse("fovea tokenizer %s: expected a tokenizer.json, got none", a->names[0]);
  fv_status status = fv_tokenizer_open(a->names[1], &w.t);
  if (status == FV_OK) status = fv_encoder_new(w.t, &w.encoder);
  int code = status == FV_OK ? 0 : cli_failed(status);
  if (code == 0 && a->json) fputs("{\"texts\": [", stdout);
  if (code == 0 && a->n_names == 2) code = each_file(&w, "-", task);
  for (int i = 2; i < a->n_names && code == 0; i++) code = each_file(&w, a->names[i], task);
  if (code == 0 && a->json) puts("]}");
  fv_encoder_free(w.encoder);
  fv_tokenizer_free(w.t);
  free(w.id);
  return code;
}

static int run(const cli_args *a) {
  if (strcmp(a->names[0], "train") == 0) return train(a);
  return convert(a, strcmp(a->names[0], "encode") == 0 ? put_ids : put_text);
}

static const char *const verbs[] = {"train", "encode", "decode", NULL};
static const cli_option options[] = {
    CLI_JSON,
    CLI_QUIET,
    {.name = "whole", CLI_FIELD(whole), .doc = "encode, decode: a file is one text, line ends and all, not one a line"},
    {.name = "specials", CLI_FIELD(specials),
     .doc = "encode: names of special tokens in the text mean those tokens; decode: show them"},
    {.name = "column", .kind = CLI_TEXT, CLI_FIELD(column), .value = "NAME", .letter = 'c',
     .doc = "train, encode: the column of CSV, TSV or JSON lines to take, by name or number from 1"},
    {.name = "format", .kind = CLI_TEXT, CLI_FIELD(format), .value = "NAME", .choices = fv_text_format_names,
     .doc = "train, encode: of the files; auto, the default: by the ending, otherwise lines"},
    {.name = "encoding", .kind = CLI_TEXT, CLI_FIELD(encoding), .value = "NAME", .choices = fv_encoding_names,
     .doc = "train, encode: of the files; to train utf-8, to encode bytes, unless said"},
    {.name = "skip-bad", CLI_FIELD(skip_bad), .doc = "leave out rows that are broken, and count them"},
    {.name = "kind", .kind = CLI_TEXT, CLI_FIELD(kind), .value = "NAME", .letter = 'k', .verb = "train",
     .choices = fv_tokenizer_kind_names, .doc = "bpe, the default: byte-level byte-pair encoding; words: by rule"},
    {.name = "size", .kind = CLI_NUMBER, CLI_FIELD(size), .value = "N", .letter = 'n', .verb = "train", .min = 1,
     .max = 1 << 22, .doc = "most tokens, four special ones included; without it 8000 of bpe, 30000 words"},
    {.name = "min-count", .kind = CLI_NUMBER, CLI_FIELD(min_count), .value = "N", .verb = "train", .min = 1,
     .max = 1 << 30, .doc = "leave out words, or pairs to merge, seen less often; without it 2 of bpe, 1 of words"},
    {.name = "lower", CLI_FIELD(lower), .verb = "train", .doc = "lower case"},
    {.name = "normal", .kind = CLI_TEXT, CLI_FIELD(normal), .value = "FORM", .verb = "train",
     .choices = fv_normal_form_names, .doc = "Unicode normal form to bring text into; none, the default: as it is"},
    {.name = "out", .kind = CLI_TEXT, CLI_FIELD(out), .value = "FILE", .letter = 'o', .verb = "train",
     .doc = "where the tokenizer.json goes"},
    {0}};
extern const cli_command cli_tokenizer;
const cli_command cli_tokenizer = {
    .name = "tokenizer",
    .usage = "train FILE... --out FILE | encode TOKENIZER [FILE...] | decode TOKENIZER [FILE...]",
    .options = options,
    .min_names = 1,
    .max_names = -1,
    .verbs = verbs,
    .wants = "train, encode or decode, and files",
    .run = run,
    .doc = "learn a vocabulary; text to ids and back",
    .more = "A tokenizer is kept as Hugging Face's tokenizer.json; byte-level BPE from elsewhere is read as well. "
            "Files may be gzip; without any, and for '-', standard input is read. encode writes a line of ids for each "
            "text, with --json also the bytes each token covers; decode turns such lines back."};
