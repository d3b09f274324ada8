/* SPDX-License-Identifier: Apache-2.0 */
/* fovea/text.h: tables of text, tokenisers, BLEU.
 *
 * Text is UTF-8 (RFC 3629). Where bytes break that rule, a table says so with file and line, and a tokeniser takes each
 * bad byte as a character of its own, so that no input is ever refused or lost.
 *
 *   fv_tokenizer_trainer *trainer;                         fv_tokenizer *t;          fv_encoder *e;
 *   fv_tokenizer_trainer_new(&options, &trainer);          fv_encoder_new(t, &e);
 *   fv_tokenizer_trainer_add(trainer, text, n); ...        fv_encoder_run(e, text, n, 0, &tokens);
 *   fv_tokenizer_trainer_finish(trainer, &t);              tokens.id[i], tokens.span[i].from
 *
 * Threads: a tokeniser or table never changes once it is there and may be read by any number of threads; an encoder, a
 * trainer and a score belong to one. */
#ifndef FOVEA_TEXT_H
#define FOVEA_TEXT_H

#include "fovea/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fv_bytes { /* borrowed; not ended by a NUL unless said so */
  const char *s;
  size_t n;
} fv_bytes;

enum { FV_TOKENIZED = 2 }; /* texts that a sample has at most: what is read, what is written */

/* The bytes before the first that is not UTF-8; n when all are. */
FV_API size_t fv_utf8_valid(const char *s, size_t n);

/* ---- tables: files of text as rows of named fields ------------------------------------------------------------------
 * Opening reads the whole file (mapped, or unpacked when gzip), checks every row and remembers where its fields lie. */
typedef enum fv_text_format {
  FV_TEXT_AUTO,     /* by the name's ending, ".gz" aside: .csv, .tsv, .jsonl or .ndjson; anything else: lines */
  FV_TEXT_LINES,    /* one text a line; column: text */
  FV_TEXT_CSV,      /* RFC 4180: commas, quotes; columns: by the first row, or "1", "2", ... */
  FV_TEXT_TSV,      /* tabs, no quotes; the same */
  FV_TEXT_JSONL,    /* one JSON object a line; columns: its keys; a list of texts is joined by blanks */
  FV_TEXT_LABELLED, /* "LABEL text"; columns: label, text (sst2's stsa files) */
  FV_TEXT_QUESTIONS,/* "COARSE:fine text"; columns: coarse, fine, text (trec) */
  FV_TEXT_FORMATS
} fv_text_format;
FV_API extern const char *const fv_text_format_names[FV_TEXT_FORMATS + 1]; /* "auto", "lines", ..., NULL */

typedef enum fv_encoding {
  FV_ENCODING_UTF8,
  FV_ENCODING_LATIN1,      /* ISO-8859-1, made UTF-8 */
  FV_ENCODING_WINDOWS1252, /* made UTF-8 */
  FV_ENCODING_BYTES,       /* any bytes, as they are; lines and tabs alone have a meaning */
  FV_ENCODINGS
} fv_encoding;
FV_API extern const char *const fv_encoding_names[FV_ENCODINGS + 1]; /* "utf-8", "latin-1", ... */

typedef struct fv_text_options {
  fv_text_format format;
  fv_encoding encoding;
  /* The columns wanted, in the order of the fields; NULL-terminated. NULL: all of lines, labelled and questions, all of
   * the first row of CSV and TSV. With names, the first row of CSV and TSV names the columns; with numbers from 1
   * ("1", "3") alone it is a row as all others, unless `header`. */
  const char *const *columns;
  bool header;      /* the first row names columns, though they are asked for by number */
  bool allow_empty; /* an empty line or field is an empty text; otherwise it is a mistake */
  bool skip_bad;    /* rows with mistakes are left out and counted; otherwise the first one ends the reading */
  size_t limit;     /* most bytes of a file, unpacked; 0: 4 GiB */
} fv_text_options;

typedef struct fv_text_table fv_text_table;
/* `options` NULL: defaults. A mistake is FV_ERR_CORRUPT, "table (FILE:LINE): expected ..., got ..."; a column that is
 * not there, or no row at all, FV_ERR_REQUEST. "-" is standard input. */
FV_API fv_status fv_text_table_open(const char *path, const fv_text_options *options, fv_text_table **table);
/* Files whose lines belong together: row i has line i of each. They must have as many lines as each other; a row with a
 * mistake in one of them is left out of all. At most 8 files; `options` as above, format lines. */
FV_API fv_status fv_text_table_open_parallel(const char *const *paths, int n, const fv_text_options *options,
                                             fv_text_table **table);
/* The same of bytes, which are borrowed until the table is freed. `what` names them in messages. */
FV_API fv_status fv_text_table_parse(const void *bytes, size_t n, const char *what, const fv_text_options *options,
                                     fv_text_table **table);
FV_API void fv_text_table_free(fv_text_table *table);
FV_API int64_t fv_text_table_rows(const fv_text_table *table);
FV_API int fv_text_table_columns(const fv_text_table *table);
FV_API const char *fv_text_table_column(const fv_text_table *table, int column); /* its name; parallel: the file */
FV_API fv_bytes fv_text_table_get(const fv_text_table *table, int64_t row, int column);
/* Where a row began, for messages: the line, counted from 1, and the file. */
FV_API int64_t fv_text_table_line(const fv_text_table *table, int64_t row);
FV_API const char *fv_text_table_file(const fv_text_table *table);
/* Rows left out by skip_bad, and what was wrong with the first of them (NULL: none were). */
FV_API int64_t fv_text_table_skipped(const fv_text_table *table);
FV_API const char *fv_text_table_first_bad(const fv_text_table *table);

/* ---- tokenisers -----------------------------------------------------------------------------------------------------
 * words: pieces by rule, each a word of the vocabulary or <unk>. In this order, at each place:
 *     letters before "n't" ("do" of "don't"); n't; 's 'm 'd 're 've 'll; numbers with . and , inside ("1,000.5");
 *     letters, marks, digits and _ in a row, with the apostrophe of an elision ("l'" of "l'homme"); one Han or kana
 *     character; dots in a row; dashes in a row; `` and ''; any other character that is no blank.
 *   This is how SST and MR come cut already, so that a sentence as people write it meets the same vocabulary.
 * bpe: byte-level byte-pair encoding as of GPT-2 (Radford et al. 2019; Sennrich et al. 2016): pieces by GPT-2's rule,
 *   each piece bytes, then joined by the merges learnt. Decoding gives back every byte.
 *
 * Trained ones begin with the four special tokens; their ids are 0 to 3. Training is deterministic: words are ordered
 * by count, then bytes; merges by count, then the ids of the two parts. */
typedef enum fv_tokenizer_kind { FV_TOKENIZER_WORDS, FV_TOKENIZER_BPE, FV_TOKENIZERS } fv_tokenizer_kind;
FV_API extern const char *const fv_tokenizer_kind_names[FV_TOKENIZERS + 1]; /* "words", "bpe", NULL */

typedef enum fv_special { FV_SPECIAL_PAD, FV_SPECIAL_UNK, FV_SPECIAL_BOS, FV_SPECIAL_EOS, FV_SPECIALS } fv_special;

typedef enum fv_normal_form { FV_NORMAL_NONE, FV_NORMAL_NFC, FV_NORMAL_NFKC, FV_NORMALS } fv_normal_form;
FV_API extern const char *const fv_normal_form_names[FV_NORMALS + 1]; /* "none", "nfc", "nfkc", NULL */

typedef struct fv_tokenizer_options {
  fv_tokenizer_kind kind;
  int64_t size;      /* most tokens, the special ones included (bpe: at least 260); 0: words 30000, bpe 8000 */
  int64_t min_count; /* words, or pairs to merge, seen less often are left out; 0: words 1, bpe 2 */
  bool lower;        /* lower case, character by character, without regard to a language */
  fv_normal_form normal;
} fv_tokenizer_options;

typedef struct fv_tokenizer fv_tokenizer;
typedef struct fv_tokenizer_trainer fv_tokenizer_trainer;
FV_API fv_status fv_tokenizer_trainer_new(const fv_tokenizer_options *options, fv_tokenizer_trainer **trainer);
FV_API fv_status fv_tokenizer_trainer_add(fv_tokenizer_trainer *trainer, const char *text, size_t n);
/* The trainer is freed in any case. */
FV_API fv_status fv_tokenizer_trainer_finish(fv_tokenizer_trainer *trainer, fv_tokenizer **tokenizer);
FV_API void fv_tokenizer_trainer_free(fv_tokenizer_trainer *trainer); /* to give up; NULL is fine */
FV_API void fv_tokenizer_free(fv_tokenizer *tokenizer);

/* Both kinds are kept as Hugging Face's tokenizer.json, which its library reads as well. Of files made elsewhere these
 * are read: byte-level BPE (GPT-2, RoBERTa, Llama 3, Qwen 2 and what is trained like them) and WordLevel with our rule.
 * What would change ids and is not known is refused. Not applied: truncation, padding, and what a post_processor puts
 * around a text. `text` of n bytes; at most 256 MiB. */
FV_API fv_status fv_tokenizer_parse(const char *text, size_t n, const char *what, fv_tokenizer **tokenizer);
FV_API fv_status fv_tokenizer_open(const char *path, fv_tokenizer **tokenizer);
FV_API fv_status fv_tokenizer_print(const fv_tokenizer *tokenizer, char **text); /* one line; fv_string_free */
FV_API fv_status fv_tokenizer_save(const fv_tokenizer *tokenizer, const char *path);

FV_API fv_tokenizer_kind fv_tokenizer_get_kind(const fv_tokenizer *tokenizer);
FV_API int64_t fv_tokenizer_size(const fv_tokenizer *tokenizer); /* ids are below this */
FV_API int32_t fv_tokenizer_special(const fv_tokenizer *tokenizer, fv_special special); /* -1: it has none */
FV_API bool fv_tokenizer_is_special(const fv_tokenizer *tokenizer, int32_t id);
/* The bytes a token stands for, ended by a NUL beside; s is NULL when there is no such id. */
FV_API fv_bytes fv_tokenizer_token(const fv_tokenizer *tokenizer, int32_t id);
FV_API int32_t fv_tokenizer_find(const fv_tokenizer *tokenizer, const char *bytes, size_t n); /* -1 */

typedef struct fv_span { /* bytes from .. to-1 of the text that was encoded */
  int32_t from, to;
} fv_span;
typedef struct fv_tokens { /* the encoder's, valid until its next run */
  int64_t n;
  const int32_t *id;
  /* In order; of bpe they cover the text without gaps, so that a token may begin or end inside a character. Where
   * normalising changed the text, a span covers whole characters of the text as it was. */
  const fv_span *span;
} fv_tokens;

enum { FV_ENCODE_SPECIALS = 1 }; /* "<eos>" in the text is that token; otherwise it is text as any other */

/* Encodes with `tokenizer`, which is borrowed; it remembers pieces it met, in at most about 8 MiB. */
typedef struct fv_encoder fv_encoder;
FV_API fv_status fv_encoder_new(const fv_tokenizer *tokenizer, fv_encoder **encoder);
FV_API void fv_encoder_free(fv_encoder *encoder);
FV_API fv_status fv_encoder_run(fv_encoder *encoder, const char *text, size_t n, unsigned flags, fv_tokens *tokens);

/* bpe: the bytes of all tokens. words: the words with a blank between. Special tokens are left out unless `specials`.
 * An id that is no token is FV_ERR_REQUEST. Ended by a NUL beside; free with fv_string_free. */
FV_API fv_status fv_tokenizer_decode(const fv_tokenizer *tokenizer, const int32_t *id, int64_t n, bool specials,
                                     char **text, size_t *size);

/* ---- BLEU -----------------------------------------------------------------------------------------------------------
 * Papineni et al. 2002, as sacreBLEU computes it by default (Post 2018): a whole corpus, 13a tokens, exponential
 * smoothing, case kept; signature nrefs:N|case:mixed|eff:no|tok:13a|smooth:exp. */
#define FV_BLEU_ORDER 4
typedef struct fv_bleu { /* zero-initialise, add sentences, look at the score */
  int64_t matched[FV_BLEU_ORDER], total[FV_BLEU_ORDER];
  int64_t length, reference_length;
} fv_bleu;
/* One translation and its n references. */
FV_API fv_status fv_bleu_add(fv_bleu *bleu, fv_bytes translation, const fv_bytes *references, int n);
FV_API double fv_bleu_score(const fv_bleu *bleu);           /* 0 to 100 */
FV_API double fv_bleu_precision(const fv_bleu *bleu, int order); /* 1 to 4; 0 to 100, smoothed */
FV_API double fv_bleu_brevity(const fv_bleu *bleu);         /* the penalty: at most 1 */

#ifdef __cplusplus
}
#endif
#endif
