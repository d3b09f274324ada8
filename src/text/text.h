/* SPDX-License-Identifier: Apache-2.0 */
/* text.h (private): UTF-8, normal forms, cutting into pieces, tables of words, and the inside of a tokeniser. */
#ifndef FV_TEXT_TEXT_H
#define FV_TEXT_TEXT_H

#include "fovea/text.h"
#include "io/io.h"

/* ---- UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF) ------------------------------------------------
 * fv_utf8_valid is in fovea/text.h.
 * The first code point of n > 0 bytes and the bytes it takes; a byte that begins none is -1 and takes 1. */
int fv_utf8_next(const char *s, size_t n, int32_t *point);
int fv_utf8_put(int32_t point, char out[4]); /* the bytes written */

enum { FV_CLASS_OTHER = 0, FV_CLASS_SPACE = 1, FV_CLASS_LETTER = 2, FV_CLASS_NUMBER = 4, FV_CLASS_MARK = 8 };
/* Space: the property White_Space; the others: general categories L, N, M. -1 is other. */
unsigned fv_utf8_class(int32_t point);

/* Appends the n bytes as UTF-8; *bad is the offset of the first that has no meaning, or n. */
void fv_encoding_convert(fv_encoding encoding, const char *s, size_t n, fv_text *out, size_t *bad);

/* ---- normal forms, case ------------------------------------------------------------------------------------------ */
typedef struct fv_normal { /* zero-initialise; used again and again; free at last */
  fv_text text;
  int32_t *from; /* of each byte of text, and one beyond: where in the source its characters begin */
  size_t cap;
} fv_normal;
enum { FV_NORMAL_LOWER = 1, FV_NORMAL_FOLD = 2 };
/* The form, then the case: simple lower case, or full case folding. Bytes that are not UTF-8 stay as they are. */
fv_status fv_normal_run(fv_normal *normal, const char *s, size_t n, fv_normal_form form, unsigned how);
/* The bytes of the source that `span` of normal->text came from. */
fv_span fv_normal_source(const fv_normal *normal, fv_span span);
void fv_normal_free(fv_normal *normal);

/* ---- pieces: what no token crosses --------------------------------------------------------------------------------*/
typedef enum fv_split_rule {
  FV_SPLIT_WORDS,
  FV_SPLIT_GPT2,
  FV_SPLIT_GPT4_1, /* numbers cut into single digits: Qwen 2 */
  FV_SPLIT_GPT4_3, /* into three: Llama 3 */
  FV_SPLIT_RULES
} fv_split_rule;
/* The rule as a regular expression (Oniguruma), as tokenizer.json has it. */
extern const char *const fv_split_patterns[FV_SPLIT_RULES];
/* The piece at or after *at, which moves behind it; false at the end. Only words leaves anything out: blanks. */
bool fv_split_next(fv_split_rule rule, const char *s, size_t n, size_t *at, fv_bytes *piece);

/* ---- byte strings and their numbers, in order of arrival ------------------------------------------------------------
 * Zero-initialise. */
typedef struct fv_wordmap_key {
  size_t at;
  uint32_t n, hash;
} fv_wordmap_key;
typedef struct fv_wordmap {
  fv_text bytes; /* each string ends with a NUL */
  fv_wordmap_key *key;
  int64_t n, cap;
  int32_t *slot; /* open addressing; -1: free */
  size_t slots;
} fv_wordmap;
int64_t fv_wordmap_find(const fv_wordmap *map, const char *s, size_t n); /* -1 */
fv_status fv_wordmap_add(fv_wordmap *map, const char *s, size_t n, int64_t *i); /* the old number or a new one */
fv_bytes fv_wordmap_at(const fv_wordmap *map, int64_t i); /* valid until the next add */
void fv_wordmap_free(fv_wordmap *map);

/* ---- word vectors (vectors.c) ------------------------------------------------------------------------------------ */
typedef struct fv_vectors_found {
  int64_t rows, found; /* words of the file; of those in the vocabulary */
} fv_vectors_found;
/* Puts the vectors of a file (GloVe's, fastText's or word2vec's text, plain or gzip) into the rows of their tokens:
 * table [size of t, width]; seen[id] becomes 1. A row with more or fewer numbers is FV_ERR_CORRUPT, a file of another
 * width FV_ERR_REQUEST. */
fv_status fv_vectors_read(const char *path, const fv_tokenizer *t, int64_t width, float *table, uint8_t *seen,
                          fv_vectors_found *found);
fv_status fv_vectors_parse(const void *bytes, size_t n, const char *what, const fv_tokenizer *t, int64_t width,
                           float *table, uint8_t *seen, fv_vectors_found *found);
/* The first `most` words of such a file enter the vocabulary that is being learnt. */
fv_status fv_vectors_words(const char *path, int64_t most, fv_tokenizer_trainer *trainer);
fv_status fv_vectors_parse_words(const void *bytes, size_t n, const char *what, int64_t most,
                                 fv_tokenizer_trainer *trainer);
/* A word that a vocabulary of words has besides those of the texts, behind them and whatever its size; passed over if
 * no text can be cut into it. */
fv_status fv_tokenizer_trainer_also(fv_tokenizer_trainer *trainer, const char *word, size_t n);

/* ---- the inside of a tokeniser ----------------------------------------------------------------------------------- */
#define FV_MOST_TOKENS ((int64_t)1 << 22)

typedef struct fv_added { /* a token found in the text before all else; see special.c */
  int32_t id;
  bool special, eats_left, eats_right; /* blanks beside it */
  fv_bytes content;
} fv_added;

typedef struct fv_merge {
  int32_t a, b, made;
} fv_merge;

struct fv_tokenizer {
  fv_tokenizer_kind kind;
  fv_split_rule split;
  fv_normal_form normal;
  bool lower;
  bool prefix_blank;  /* a text that does not begin with a blank gets one (add_prefix_space) */
  bool whole_first;   /* a piece that is a token is that token, whatever the merges (ignore_merges) */
  fv_wordmap map;     /* tokens of the model by their bytes */
  int32_t *map_id;    /* [map.n] */
  int64_t size;       /* ids are below */
  fv_bytes *token;    /* [size]; s NULL: no such id */
  fv_arena *arena;    /* contents of added tokens */
  fv_added *added;    /* longest first */
  int64_t n_added;
  int32_t special[FV_SPECIALS]; /* -1: none */
  /* bpe */
  int32_t byte_id[256];
  fv_merge *merge; /* by rank */
  int64_t n_merges;
  int32_t *merge_slot; /* open addressing by (a, b): a rank, -1: free */
  size_t merge_slots;
};

/* Words and pieces, special tokens, all in the order of their ids; see tokenizer.c. */
fv_status fv_tokenizer_new(fv_tokenizer_kind kind, fv_tokenizer **tokenizer);
extern const char *const fv_special_names[FV_SPECIALS]; /* "<pad>", ... */
fv_status fv_tokenizer_add_special(fv_tokenizer *t, int32_t id, bool special, const char *content, size_t n,
                                   fv_added **added);
/* The model's token `id` has these bytes. Both must be new. */
fv_status fv_tokenizer_add_token(fv_tokenizer *t, int32_t id, const char *bytes, size_t n);
/* To be called once all tokens and merges are there; checks what everything behind relies on. */
fv_status fv_tokenizer_complete(fv_tokenizer *t, const char *what);

/* ---- special.c: added tokens in a text */
/* The next added token at or after `at`: its bytes, or {n, n}. */
fv_span fv_special_next(const fv_tokenizer *t, const char *s, size_t n, size_t at, bool specials, int32_t *id);

/* ---- bpe.c */
/* The rank of merging a and b, -1 when they never are. */
int32_t fv_bpe_rank(const fv_tokenizer *t, int32_t a, int32_t b);
fv_status fv_bpe_index_merges(fv_tokenizer *t); /* fills merge_slot; FV_ERR_CORRUPT: a merge twice */
typedef struct fv_bpe_work { /* zero-initialise */
  struct fv_bpe_part *part;
  struct fv_bpe_candidate *heap;
  int64_t cap, n_heap;
  int32_t *id; /* the result of fv_bpe_encode */
  int64_t n;
} fv_bpe_work;
/* The ids of one piece. */
fv_status fv_bpe_encode(const fv_tokenizer *t, fv_bytes piece, fv_bpe_work *work);
void fv_bpe_work_free(fv_bpe_work *work);
/* The characters that stand for bytes in vocabularies (GPT-2's bytes_to_unicode): code point of a byte, and back (-1).
 * All are below U+0144. */
int32_t fv_bpe_symbol(uint8_t byte);
int fv_bpe_byte(int32_t point);

/* ---- bpe_train.c: the merges of `words`, seen count[i] times each, until t has `size` tokens */
fv_status fv_bpe_train(fv_tokenizer *t, const fv_wordmap *words, const int64_t *count, int64_t size, int64_t min_count);

/* ---- table_rows.c: formats of tables, a row at a time ------------------------------------------------------------ */
typedef struct fv_row_field { /* offset into the text, or ~offset into the pool */
  int64_t at, n;
} fv_row_field;
typedef struct fv_row_reader { /* set what, text, n, format, pool, keys; the rest zero */
  const char *what, *text;
  size_t n, at;
  int64_t line, row_line; /* lines passed; where the last row began, from 1 */
  fv_text_format format;
  fv_text *pool; /* fields that do not stand in the text as they are */
  const char *const *keys; /* of JSON lines, NULL-terminated */
  fv_row_field *field;
  int64_t n_fields, cap;
} fv_row_reader;
/* Reads a row into field[] and moves behind it, also when it fails, which then concerns this row alone (unless it is
 * FV_ERR_MEMORY). *more is false at the end. */
fv_status fv_row_next(fv_row_reader *r, bool *more);
const char *fv_row_bytes(const fv_row_reader *r, fv_row_field f); /* until the pool grows */
void fv_row_reader_free(fv_row_reader *r);

#endif
