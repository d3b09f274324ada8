/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c: texts of numbers in lines. */
#include "data/numbers.h"

#include "io/io.h"

bool fv_numbers_word(fv_numbers *s, char word[FV_NUMBERS_WORD]) {
  s->at += strspn(s->at, " \t\r,");
  const size_t n = strcspn(s->at, " \t\r\n,");
  if (n == 0) return false;
  snprintf(word, FV_NUMBERS_WORD, "%.*s", (int)FV_MIN(n, FV_NUMBERS_WORD - 1u), s->at);
  s->at += n;
  return true;
}

fv_status fv_numbers_whole(fv_numbers *s, const char *name, int64_t least, int64_t most, int64_t *v) {
  char word[FV_NUMBERS_WORD];
  const bool there = fv_numbers_word(s, word);
  FV_REQUIRE(there && fv_parse_int(word, v) && *v >= least && *v <= most, FV_ERR_CORRUPT,
             "%s:%lld: %s: expected a whole number from %lld to %lld, got '%s'", s->what, (long long)s->line, name,
             (long long)least, (long long)most, there ? fv_show(word, strlen(word)) : "nothing");
  return FV_OK;
}

fv_status fv_numbers_line(fv_numbers *s) {
  char word[FV_NUMBERS_WORD];
  FV_REQUIRE(!fv_numbers_word(s, word), FV_ERR_CORRUPT, "%s:%lld: expected the end of the line, got '%s'", s->what,
             (long long)s->line, fv_show(word, strlen(word)));
  if (*s->at) s->at++;
  s->line++;
  return FV_OK;
}

bool fv_numbers_end(fv_numbers *s) {
  s->at += strspn(s->at, " \t\r");
  for (; *s->at == '\n'; s->at += strspn(s->at, " \t\r")) s->at++, s->line++;
  return !*s->at;
}
