# SPDX-License-Identifier: Apache-2.0
# count_tests.awk: "passed failed skipped" of meson's test logs (one JSON object a line). A program that says how many
# checks it made counts as that many, another as one; one that failed without saying so counts as a failure.
function last(text, pattern, n) {
  n = 0
  while (match(text, pattern)) {
    found = substr(text, RSTART, RLENGTH)
    text = substr(text, RSTART + RLENGTH)
    n++
  }
  return n
}
function number_before(text, word) {
  if (!match(text, "[0-9]+ " word)) return 0
  return substr(text, RSTART) + 0
}
# cmocka: "[  PASSED  ] 12 test(s)."
function cmocka(text, word) {
  return last(text, "\\[ *" word " *\\] [0-9]+ test") ? gensub_number(found) : 0
}
function gensub_number(text) {
  sub(/^.*\] /, "", text)
  return text + 0
}
{
  result = match($0, /"result": "[A-Z]+"/) ? substr($0, RSTART + 11, RLENGTH - 12) : "ERROR"
  p = f = s = 0
  if (last($0, "[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped")) {
    p = number_before(found, "passed"); f = number_before(found, "failed"); s = number_before(found, "skipped")
  } else {
    p = cmocka($0, "PASSED"); f = cmocka($0, "FAILED"); s = cmocka($0, "SKIPPED")
  }
  bad = result != "OK" && result != "SKIP" && result != "EXPECTEDFAIL"
  if (bad && f == 0) f = 1
  if (!bad && p + s == 0) { if (result == "SKIP") s = 1; else p = 1 }
  passed += p; failed += f; skipped += s
}
END { print passed + 0, failed + 0, skipped + 0 }
