/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.h (private): texts of numbers in lines, with blanks or commas between; mistakes are named with their line. */
#ifndef FV_DATA_NUMBERS_H
#define FV_DATA_NUMBERS_H

#include "base/base.h"

enum { FV_NUMBERS_WORD = 32 };
typedef struct fv_numbers { /* begin with {what, text, 1} */
  const char *what, *at;
  int64_t line;
} fv_numbers;
/* The next word of this line, ended by a NUL and cut if it is too long for a number; false: there is none. */
bool fv_numbers_word(fv_numbers *s, char word[FV_NUMBERS_WORD]);
/* The next number of this line, called `name`. */
fv_status fv_numbers_whole(fv_numbers *s, const char *name, int64_t least, int64_t most, int64_t *v);
/* Goes on to the next line; what is left of this one is a mistake. */
fv_status fv_numbers_line(fv_numbers *s);
bool fv_numbers_end(fv_numbers *s); /* nothing but empty lines follow: they are skipped */

#endif
