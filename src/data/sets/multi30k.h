/* SPDX-License-Identifier: Apache-2.0 */
/* multi30k.h: the files of Multi30k (task 1, untokenised) that its rows choose from, by language. */
#ifndef FV_DATA_SETS_MULTI30K_H
#define FV_DATA_SETS_MULTI30K_H

#include "data/sets.h"

#define FV_MULTI30K_URL "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
#define FV_MULTI30K_FILE(name, sha256, bytes) {"multi30k/" name, FV_MULTI30K_URL name, sha256, bytes, NULL}
/* A language: its parts for training, validation and testing. */
#define FV_MULTI30K_DE \
  FV_MULTI30K_FILE("train.de.gz", "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6", 637044), \
  FV_MULTI30K_FILE("val.de.gz", "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a", 24681), \
  FV_MULTI30K_FILE("test_2016_flickr.de.gz", "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8", 22890)
#define FV_MULTI30K_EN \
  FV_MULTI30K_FILE("train.en.gz", "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f", 568929), \
  FV_MULTI30K_FILE("val.en.gz", "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28", 21650), \
  FV_MULTI30K_FILE("test_2016_flickr.en.gz", "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9", 21077)
#define FV_MULTI30K_FR \
  FV_MULTI30K_FILE("train.fr.gz", "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c", 604242), \
  FV_MULTI30K_FILE("val.fr.gz", "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9", 23001), \
  FV_MULTI30K_FILE("test_2016_flickr.fr.gz", "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90", 22310)

/* The rest of a row. */
#define FV_MULTI30K_INFO                                                                                             \
  .licence = "not stated; the descriptions come from Flickr30k", .source = "https://github.com/multi30k/dataset",    \
  .cite = "D. Elliott, S. Frank, K. Sima'an, L. Specia: Multi30K: multilingual English-German image descriptions. "  \
          "VL 2016",                                                                                                 \
  .shape = "pairs of sentences, 29000 train, 1014 validation, 1000 test (2016, Flickr)", .read_to_know = true

#endif
