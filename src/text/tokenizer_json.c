/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer_json.c: tokenizer.json, the format of github.com/huggingface/tokenizers: how text is normalised and cut,
 * the vocabulary with bytes written as characters, merges, added tokens. Read with suspicion: what would change ids and
 * is not known here is refused by name, never passed over. */
#include "text/text.h"

#define FILE_LIMIT ((size_t)256 << 20)

typedef struct reading {
  fv_tokenizer *t;
  const char *what;
  const json_t *model, *vocab, *added; /* added may be NULL */
} reading;

/* ---- small helpers ----------------------------------------------------------------------------------------------- */
static bool is_none(const json_t *v) { return !v || json_is_null(v); }

static const char *type_of(const json_t *v) {
  const char *type = json_string_value(json_object_get(v, "type"));
  return type ? type : "";
}

static bool has_type(const json_t *v, const char *type) { return strcmp(type_of(v), type) == 0; }

/* The switch `key` of an object; `otherwise` when it is not there. */
static bool flag(const json_t *v, const char *key, bool otherwise) {
  const json_t *f = json_object_get(v, key);
  return json_is_boolean(f) ? json_is_true(f) : otherwise;
}

static fv_status refuse(const reading *r, const char *where, const char *expected, const json_t *got) {
  const char *type = type_of(got);
  return FV_FAIL(FV_ERR_REQUEST, "tokenizer (%s, %s): expected %s, got %s", r->what, where, expected,
                 is_none(got) ? "none" : *type ? fv_show(type, strlen(type)) : "something else");
}

/* ---- normalizer, pre_tokenizer ----------------------------------------------------------------------------------- */
static fv_status read_normalizer(reading *r, const json_t *v) {
  fv_tokenizer *t = r->t;
  if (is_none(v)) return FV_OK;
  bool form = has_type(v, "NFC") || has_type(v, "NFKC");
  if (form && t->normal == FV_NORMAL_NONE && !t->lower) {
    t->normal = has_type(v, "NFC") ? FV_NORMAL_NFC : FV_NORMAL_NFKC;
    return FV_OK;
  }
  if (has_type(v, "Lowercase")) {
    t->lower = true;
    return FV_OK;
  }
  const json_t *list = json_object_get(v, "normalizers");
  if (!has_type(v, "Sequence") || !json_is_array(list))
    return refuse(r, "normalizer", "NFC or NFKC, then Lowercase, or none", v);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *one = json_array_get(list, i);
    if (has_type(one, "Sequence")) return refuse(r, "normalizer", "one sequence", one);
    FV_TRY(read_normalizer(r, one));
  }
  return FV_OK;
}

static const char *pattern_of(const json_t *split) {
  return json_string_value(json_object_get(json_object_get(split, "pattern"), "Regex"));
}

static fv_status read_split(reading *r, const json_t *v, fv_split_rule first, fv_split_rule last) {
  const char *pattern = pattern_of(v), *behavior = json_string_value(json_object_get(v, "behavior"));
  bool words = first == FV_SPLIT_WORDS, inverts = flag(v, "invert", false);
  bool cuts = behavior && strcmp(behavior, words ? "Removed" : "Isolated") == 0 && inverts == words;
  for (fv_split_rule i = first; pattern && cuts && has_type(v, "Split") && i <= last; i++)
    if (strcmp(pattern, fv_split_patterns[i]) == 0) {
      r->t->split = i;
      return FV_OK;
    }
  return refuse(r, "pre_tokenizer",
                words ? "a Split by the rule of fovea's words" : "a Split by the pattern of GPT-2, Qwen 2 or Llama 3",
                v);
}

static fv_status read_byte_level(reading *r, const json_t *v) {
  const json_t *list = json_object_get(v, "pretokenizers");
  if (has_type(v, "ByteLevel") && flag(v, "use_regex", true)) {
    r->t->prefix_blank = flag(v, "add_prefix_space", true);
    return FV_OK;
  }
  if (!has_type(v, "Sequence") || json_array_size(list) != 2)
    return refuse(r, "pre_tokenizer", "ByteLevel, or Split and ByteLevel", v);
  const json_t *level = json_array_get(list, 1);
  FV_TRY(read_split(r, json_array_get(list, 0), FV_SPLIT_GPT2, FV_SPLIT_GPT4_3));
  if (!has_type(level, "ByteLevel") || flag(level, "use_regex", true) || flag(level, "add_prefix_space", true))
    return refuse(r, "pre_tokenizer", "ByteLevel behind Split, without a rule and a blank of its own", level);
  return FV_OK;
}

/* ---- added tokens ------------------------------------------------------------------------------------------------ */
static fv_status read_added(reading *r, const json_t *v) {
  const char *content = json_string_value(json_object_get(v, "content"));
  const json_t *id = json_object_get(v, "id");
  fv_added *added;
  FV_REQUIRE(content && *content && json_is_integer(id), FV_ERR_CORRUPT,
             "tokenizer (%s, added_tokens): expected content and id of each, got something else", r->what);
  const char *shown = fv_show(content, strlen(content));
  bool changes = r->t->normal != FV_NORMAL_NONE || r->t->lower, special = flag(v, "special", false);
  FV_REQUIRE(!flag(v, "single_word", false), FV_ERR_REQUEST,
             "tokenizer (%s, added token '%s'): expected single_word false, got true", r->what, shown);
  FV_REQUIRE(special || !changes || !flag(v, "normalized", true), FV_ERR_REQUEST,
             "tokenizer (%s, added token '%s'): expected normalized false beside a normalizer, got true", r->what,
             shown);
  json_int_t number = json_integer_value(id);
  FV_REQUIRE(number >= 0 && number < FV_MOST_TOKENS, FV_ERR_CORRUPT,
             "tokenizer (%s, added token '%s'): expected an id from 0 to %lld, got %lld", r->what, shown,
             (long long)FV_MOST_TOKENS - 1, (long long)number);
  FV_TRY(fv_tokenizer_add_special(r->t, (int32_t)number, special, content, strlen(content), &added));
  added->eats_left = flag(v, "lstrip", false);
  added->eats_right = flag(v, "rstrip", false);
  return FV_OK;
}

static bool is_added(const fv_tokenizer *t, const char *content, int32_t id) {
  for (int64_t i = 0; i < t->n_added; i++)
    if (t->added[i].id == id && strcmp(t->added[i].content.s, content) == 0) return true;
  return false;
}

/* ---- model ------------------------------------------------------------------------------------------------------- */
/* Characters back to the bytes they stand for; false where one stands for none. */
static bool to_bytes(const char *text, fv_text *out) {
  out->n = 0;
  for (size_t n = strlen(text); n > 0;) {
    int32_t c;
    int length = fv_utf8_next(text, n, &c), byte = fv_bpe_byte(c);
    char one = (char)byte;
    if (byte < 0) return false;
    fv_text_append(out, &one, 1);
    text += length, n -= (size_t)length;
  }
  return true;
}

static fv_status read_token(reading *r, const char *text, const json_t *v, fv_text *bytes) {
  json_int_t id = json_integer_value(v);
  const char *shown = fv_show(text, strlen(text));
  FV_REQUIRE(json_is_integer(v) && id >= 0 && id < FV_MOST_TOKENS, FV_ERR_CORRUPT,
             "tokenizer (%s, token '%s'): expected an id from 0 to %lld, got another", r->what, shown,
             (long long)FV_MOST_TOKENS - 1);
  if (is_added(r->t, text, (int32_t)id)) return FV_OK;
  if (r->t->kind == FV_TOKENIZER_WORDS) return fv_tokenizer_add_token(r->t, (int32_t)id, text, strlen(text));
  FV_REQUIRE(to_bytes(text, bytes), FV_ERR_REQUEST,
             "tokenizer (%s, token '%s'): expected the characters of byte-level BPE, got others", r->what, shown);
  FV_REQUIRE(!bytes->failed, FV_ERR_MEMORY, "tokenizer: no memory for a token");
  return fv_tokenizer_add_token(r->t, (int32_t)id, bytes->s, bytes->n);
}

static fv_status read_vocab(reading *r) {
  fv_status status = FV_OK;
  fv_text bytes = {0};
  json_t *vocab = (json_t *)(uintptr_t)r->vocab; /* jansson's iterators take no const */
  fv_text_append(&bytes, "", 0);
  for (void *i = json_object_iter(vocab); i; i = json_object_iter_next(vocab, i))
    FV_TRY_DONE(read_token(r, json_object_iter_key(i), json_object_iter_value(i), &bytes));
done:
  fv_text_free(&bytes);
  return status;
}

/* The two parts of a merge: ["a", "b"] or "a b". */
static bool parts_of(const json_t *v, fv_bytes part[2]) {
  if (json_is_array(v) && json_array_size(v) == 2) {
    for (size_t i = 0; i < 2; i++) {
      part[i] = (fv_bytes){json_string_value(json_array_get(v, i)), 0};
      if (!part[i].s) return false;
      part[i].n = strlen(part[i].s);
    }
    return true;
  }
  const char *text = json_string_value(v), *blank = text ? strchr(text, ' ') : NULL;
  if (!blank || strchr(blank + 1, ' ')) return false;
  part[0] = (fv_bytes){text, (size_t)(blank - text)};
  part[1] = (fv_bytes){blank + 1, strlen(blank + 1)};
  return true;
}

static bool find_id(const reading *r, const char *text, size_t n, int32_t *id) {
  const json_t *v = json_object_getn(r->vocab, text, n);
  *id = (int32_t)json_integer_value(v); /* in range: the vocabulary has been read */
  return json_is_integer(v);
}

static fv_status read_merge(reading *r, const json_t *v, int64_t i, fv_text *joined) {
  fv_bytes part[2];
  fv_merge *m = &r->t->merge[i];
  FV_REQUIRE(parts_of(v, part), FV_ERR_CORRUPT, "tokenizer (%s, merge %lld): expected two tokens, got something else",
             r->what, (long long)i);
  joined->n = 0;
  fv_text_append(joined, part[0].s, part[0].n);
  fv_text_append(joined, part[1].s, part[1].n);
  FV_REQUIRE(!joined->failed, FV_ERR_MEMORY, "tokenizer: no memory for a merge");
  bool known = part[0].n && part[1].n && find_id(r, part[0].s, part[0].n, &m->a) &&
               find_id(r, part[1].s, part[1].n, &m->b) && find_id(r, joined->s, joined->n, &m->made);
  FV_REQUIRE(known, FV_ERR_CORRUPT, "tokenizer (%s, merge %lld): expected tokens of the vocabulary, got '%s' and '%s'",
             r->what, (long long)i, fv_show(part[0].s, part[0].n), fv_show(part[1].s, part[1].n));
  return FV_OK;
}

static fv_status read_merges(reading *r) {
  fv_status status = FV_OK;
  fv_text joined = {0};
  const json_t *list = json_object_get(r->model, "merges");
  FV_REQUIRE(json_is_array(list) && json_array_size(list) <= (size_t)FV_MOST_TOKENS, FV_ERR_CORRUPT,
             "tokenizer (%s): expected a list of merges, got none", r->what);
  FV_TRY(FV_NEW(&r->t->merge, json_array_size(list) + 1));
  r->t->n_merges = (int64_t)json_array_size(list);
  for (int64_t i = 0; i < r->t->n_merges; i++)
    FV_TRY_DONE(read_merge(r, json_array_get(list, (size_t)i), i, &joined));
done:
  fv_text_free(&joined);
  return status;
}

static bool is_blank(const json_t *v) { return is_none(v) || (json_is_string(v) && !*json_string_value(v)); }

/* Settings of a BPE model that change ids. */
static fv_status check_bpe(const reading *r) {
  const json_t *m = r->model, *dropout = json_object_get(m, "dropout");
  const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
  FV_REQUIRE(is_none(dropout) || json_number_value(dropout) == 0, FV_ERR_REQUEST,
             "tokenizer (%s): expected no dropout of merges, got some", r->what);
  FV_REQUIRE(!flag(m, "byte_fallback", false), FV_ERR_REQUEST,
             "tokenizer (%s): expected byte-level BPE, got one with byte_fallback", r->what);
  for (size_t i = 0; i < FV_COUNT(empty); i++)
    FV_REQUIRE(is_blank(json_object_get(m, empty[i])), FV_ERR_REQUEST, "tokenizer (%s): expected no %s, got one",
               r->what, empty[i]);
  return FV_OK;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */
static fv_status read_model(reading *r, const json_t *root) {
  const json_t *cut = json_object_get(root, "pre_tokenizer");
  bool bpe = r->t->kind == FV_TOKENIZER_BPE;
  FV_REQUIRE(json_is_object(r->vocab), FV_ERR_CORRUPT, "tokenizer (%s): expected a vocabulary, got none", r->what);
  FV_TRY(read_normalizer(r, json_object_get(root, "normalizer")));
  FV_TRY(bpe ? read_byte_level(r, cut) : read_split(r, cut, FV_SPLIT_WORDS, FV_SPLIT_WORDS));
  if (bpe) FV_TRY(check_bpe(r));
  r->t->whole_first = bpe && flag(r->model, "ignore_merges", false);
  for (size_t i = 0; i < json_array_size(r->added); i++) FV_TRY(read_added(r, json_array_get(r->added, i)));
  FV_TRY(read_vocab(r));
  if (bpe) FV_TRY(read_merges(r));
  return fv_tokenizer_complete(r->t, r->what);
}

static fv_status read_root(const json_t *root, const char *what, fv_tokenizer **tokenizer) {
  reading r = {.what = what, .model = json_object_get(root, "model"), .added = json_object_get(root, "added_tokens")};
  r.vocab = json_object_get(r.model, "vocab");
  bool bpe = has_type(r.model, "BPE") || (json_is_object(r.model) && !*type_of(r.model)); /* GPT-2's has no type */
  if (!bpe && !has_type(r.model, "WordLevel")) return refuse(&r, "model", "BPE or WordLevel", r.model);
  FV_TRY(fv_tokenizer_new(bpe ? FV_TOKENIZER_BPE : FV_TOKENIZER_WORDS, &r.t));
  fv_status status = read_model(&r, root);
  if (status == FV_OK) *tokenizer = r.t;
  else fv_tokenizer_free(r.t);
  return status;
}

fv_status fv_tokenizer_parse(const char *text, size_t n, const char *what, fv_tokenizer **tokenizer) {
  json_t *root;
  *tokenizer = NULL;
  FV_TRY(fv_json_parse(text, n, what, FILE_LIMIT, &root));
  fv_status status = read_root(root, what, tokenizer);
  json_decref(root);
  return status;
}

fv_status fv_tokenizer_open(const char *path, fv_tokenizer **tokenizer) {
  fv_map map;
  *tokenizer = NULL;
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_tokenizer_parse((const char *)map.data, map.size, path, tokenizer);
  fv_map_close(&map);
  return status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
static void put_type(fv_json *j, const char *key, const char *type) {
  fv_json_begin(j, key, '{');
  fv_json_text(j, "type", type);
}

static void put_added(fv_json *j, const fv_tokenizer *t) {
  static const char *const no[] = {"single_word", "normalized"};
  fv_json_begin(j, "added_tokens", '[');
  for (int32_t id = 0; id < t->size; id++)
    for (int64_t i = 0; i < t->n_added; i++) {
      const fv_added *a = &t->added[i];
      if (a->id != id) continue;
      fv_json_begin(j, NULL, '{');
      fv_json_int(j, "id", id);
      fv_json_text(j, "content", a->content.s);
      for (size_t k = 0; k < FV_COUNT(no); k++) fv_json_bool(j, no[k], false);
      fv_json_bool(j, "lstrip", a->eats_left);
      fv_json_bool(j, "rstrip", a->eats_right);
      fv_json_bool(j, "special", a->special);
      fv_json_end(j, '}');
    }
  fv_json_end(j, ']');
}

static void put_normalizer(fv_json *j, const fv_tokenizer *t) {
  static const char *const forms[FV_NORMALS] = {NULL, "NFC", "NFKC"};
  const char *form = forms[t->normal];
  if (!form && !t->lower) {
    fv_json_text(j, "normalizer", NULL);
    return;
  }
  put_type(j, "normalizer", form && t->lower ? "Sequence" : form ? form : "Lowercase");
  if (form && t->lower) {
    fv_json_begin(j, "normalizers", '[');
    put_type(j, NULL, form), fv_json_end(j, '}');
    put_type(j, NULL, "Lowercase"), fv_json_end(j, '}');
    fv_json_end(j, ']');
  }
  fv_json_end(j, '}');
}

static void put_split(fv_json *j, const char *key, fv_split_rule rule) {
  put_type(j, key, "Split");
  fv_json_begin(j, "pattern", '{');
  fv_json_text(j, "Regex", fv_split_patterns[rule]);
  fv_json_end(j, '}');
  fv_json_text(j, "behavior", rule == FV_SPLIT_WORDS ? "Removed" : "Isolated");
  fv_json_bool(j, "invert", rule == FV_SPLIT_WORDS);
  fv_json_end(j, '}');
}

static void put_byte_level(fv_json *j, const char *key, bool prefix_blank, bool use_regex) {
  put_type(j, key, "ByteLevel");
  fv_json_bool(j, "add_prefix_space", prefix_blank);
  fv_json_bool(j, "trim_offsets", true);
  fv_json_bool(j, "use_regex", use_regex);
  fv_json_end(j, '}');
}

static void put_cutting(fv_json *j, const fv_tokenizer *t) {
  if (t->kind == FV_TOKENIZER_WORDS) {
    put_split(j, "pre_tokenizer", t->split);
    fv_json_text(j, "post_processor", NULL);
    fv_json_text(j, "decoder", NULL);
    return;
  }
  if (t->split == FV_SPLIT_GPT2) put_byte_level(j, "pre_tokenizer", t->prefix_blank, true);
  else {
    put_type(j, "pre_tokenizer", "Sequence");
    fv_json_begin(j, "pretokenizers", '[');
    put_split(j, NULL, t->split);
    put_byte_level(j, NULL, false, false);
    fv_json_end(j, ']');
    fv_json_end(j, '}');
  }
  fv_json_text(j, "post_processor", NULL);
  put_byte_level(j, "decoder", t->prefix_blank, true);
}

/* A token as the vocabulary writes it; valid until the next call with the same `out`. */
static const char *written(const fv_tokenizer *t, int32_t id, fv_text *out) {
  fv_bytes token = t->token[id];
  bool added = false;
  out->n = 0;
  for (int64_t i = 0; i < t->n_added; i++) added = added || t->added[i].id == id;
  for (size_t i = 0; i < token.n; i++) {
    char bytes[4] = {token.s[i]};
    bool as_is = added || t->kind == FV_TOKENIZER_WORDS;
    int length = as_is ? 1 : fv_utf8_put(fv_bpe_symbol((uint8_t)token.s[i]), bytes);
    fv_text_append(out, bytes, (size_t)length);
  }
  return out->s ? out->s : "";
}

static void put_model(fv_json *j, const fv_tokenizer *t, fv_text *a, fv_text *b) {
  static const char *const none[] = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"};
  bool bpe = t->kind == FV_TOKENIZER_BPE;
  put_type(j, "model", bpe ? "BPE" : "WordLevel");
  for (size_t i = 0; bpe && i < FV_COUNT(none); i++) fv_json_text(j, none[i], NULL);
  if (bpe) {
    fv_json_bool(j, "fuse_unk", false);
    fv_json_bool(j, "byte_fallback", false);
    fv_json_bool(j, "ignore_merges", t->whole_first);
  }
  fv_json_begin(j, "vocab", '{');
  for (int32_t id = 0; id < t->size; id++)
    if (t->token[id].s) fv_json_int(j, written(t, id, a), id);
  fv_json_end(j, '}');
  if (bpe) {
    fv_json_begin(j, "merges", '[');
    for (int64_t i = 0; i < t->n_merges; i++) {
      fv_json_begin(j, NULL, '[');
      fv_json_text(j, NULL, written(t, t->merge[i].a, a));
      fv_json_text(j, NULL, written(t, t->merge[i].b, b));
      fv_json_end(j, ']');
    }
    fv_json_end(j, ']');
  } else {
    fv_json_text(j, "unk_token", t->token[t->special[FV_SPECIAL_UNK]].s);
  }
  fv_json_end(j, '}');
}

fv_status fv_tokenizer_print(const fv_tokenizer *t, char **text) {
  fv_json j = {0};
  fv_text a = {0}, b = {0};
  *text = NULL;
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "version", "1.0");
  fv_json_text(&j, "truncation", NULL);
  fv_json_text(&j, "padding", NULL);
  put_added(&j, t);
  put_normalizer(&j, t);
  put_cutting(&j, t);
  put_model(&j, t, &a, &b);
  fv_json_end(&j, '}');
  bool failed = j.text.failed || a.failed || b.failed;
  fv_text_free(&a);
  fv_text_free(&b);
  if (failed) fv_json_free(&j);
  FV_REQUIRE(!failed, FV_ERR_MEMORY, "tokenizer: no memory for its file");
  *text = j.text.s;
  return FV_OK;
}

fv_status fv_tokenizer_save(const fv_tokenizer *t, const char *path) {
  char *text;
  FV_TRY(fv_tokenizer_print(t, &text));
  size_t n = strlen(text);
  text[n] = '\n'; /* in place of the NUL */
  fv_status status = fv_file_write(path, text, n + 1);
  fv_string_free(text);
  return status;
}
