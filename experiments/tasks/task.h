#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// One labelled text. `text` and `pair` are kept byte for byte as the file has them (valid UTF-8).
struct Example {
  std::string text;
  std::string pair;      ///< second sentence; empty: the task has none
  float label = 0;       ///< class index (0, 1) or regression target
  std::size_t line = 0;  ///< of the file that it is from, see Dataset; 1-based
};

struct Task {
  std::string name;
  bool regression = false;
  std::size_t labels = 2;  ///< width of the output: number of classes, 1 for regression
  bool has_pair = false;
  std::vector<std::string> metrics;  ///< names as in metrics.h; the first one is the main score
};

/// Every task, in the order of the documentation:
///
///   cola       GLUE CoLA, acceptability (1 acceptable); Matthews correlation
///   sst2       GLUE SST-2, sentiment (1 positive); accuracy
///   stsb       GLUE STS-B, similarity 0 to 5 of two sentences; Pearson, Spearman
///   movies, products, tweets, editorials
///              sentiment (1 positive), see load_dataset; accuracy, F1, Matthews correlation
///   movies-regression, products-regression, tweets-regression, editorials-regression
///              the same texts and splits, with the mean human rating in -4 to 4 as target;
///              Pearson, Spearman
const std::vector<Task>& tasks();

/// The task of that name. Throws UsageError with the nearest name where there is none.
const Task& find_task(std::string_view name);

enum class Split { train, held_out, dev };

struct Dataset {
  std::vector<Example> train;
  std::vector<Example> held_out;  ///< for choosing learning rates; empty for GLUE, which has none
  std::vector<Example> dev;
  std::filesystem::path train_file, scored_file;  ///< of train, and of held_out and dev
  std::size_t duplicates_removed = 0;  ///< rows that repeat an earlier row's text; 0 for GLUE
  std::size_t neutral_removed = 0;     ///< rows left out as neutral, duplicates not counted
};

/// The examples of one split.
const std::vector<Example>& examples(const Dataset& dataset, Split split);

/// The examples that the setting score-on names: "dev", or "held-out" (for choosing learning rates,
/// so that dev stays unseen). Throws UsageError for another word or where there are none.
const std::vector<Example>& scored_examples(const Task& task, const Dataset& dataset,
                                            const std::string& score_on);

/// To score a model, the rows to train on need not be there.
enum class RowsNeeded { all, scored };

/// Reads a task from the folder `data`. `max_train` keeps the first N examples of train; 0 keeps
/// all. held_out and dev are never cut. Where only the scored rows are needed, train may be empty.
///
/// **GLUE** (cola, sst2, stsb): `data` holds train.tsv and dev.tsv as GLUE ships them, or a folder
/// of GLUE's name (CoLA, SST-2, STS-B) or the task's name, in any case, which holds them. There is
/// no quoting: a row splits at every TAB. CoLA has no header and the columns source, label, mark,
/// sentence; SST-2 and STS-B have a header, whose names find the columns (sentence, label;
/// sentence1, sentence2, score). Every row is kept, in file order.
///
/// **Sentiment** (Hutto and Gilbert, ICWSM 2014): `data`, or `data`/hutto_ICWSM_2014, holds
/// movieReviewSnippets_, amazonReviewSnippets_ (products), tweets_ and nytEditorialSnippets_
/// (editorials) GroundTruth.txt from hutto_ICWSM_2014.tar.gz in PyPI's vaderSentiment 3.3.2 source
/// archive: rows of id, mean rating of 20 or more people (-4 to 4) and text. The files come in one
/// piece and are split here:
///  - A row whose normalised text stood in an earlier row is removed: the first rating counts.
///  - Classification: label 1 for a rating of at least 0.5, 0 for at most -0.5; rows with
///    |rating| < 0.5 are left out as neutral. Regression keeps them. So a text is in the same split
///    in both forms.
///  - The text's hash decides the split (sentiment_split). Equal texts therefore never straddle.
///    **Sentences of one source may**: products and editorials are sentence by sentence (id 12_3 is
///    the third sentence of source 12), and of the sources with a sentence in dev nearly all have
///    one in train; the ids of movies and tweets do not tell the source. A dev score is thus one
///    for new sentences, not for new reviews or editorials.
///  - Every split is ordered by the text's hash with its bits mixed (MurmurHash3's 64-bit finaliser
///    of text_hash), ascending, because the file of movies has its positive half first: so the
///    first N of train are a fair sample.
///  - HTML entities (&amp;) are part of the texts and are left alone.
///
/// A UTF-8 byte order mark and CR LF are tolerated. Throws Error naming file and line, what was
/// found and what was expected: a missing or empty file, a wrong number of columns, a missing
/// column name, invalid UTF-8, a zero byte, an empty sentence, a label other than 0 or 1, a score
/// that is no number or out of range, no examples left in train or dev.
Dataset load_dataset(const Task& task, const std::filesystem::path& data, std::size_t max_train = 0,
                     RowsNeeded needed = RowsNeeded::all);

/// The text with every run of ASCII white space (space, \t, \n, \v, \f, \r) as one space, none at
/// its ends, and A-Z in lower case; other bytes are untouched.
std::string normalise_text(std::string_view text);

/// FNV-1a, 64 bits (offset basis 14695981039346656037, prime 1099511628211; Fowler, Noll, Vo), over
/// the bytes of normalise_text(text).
std::uint64_t text_hash(std::string_view text);

/// text_hash(text) modulo 10: 0 to 6 train, 7 held_out, 8 and 9 dev.
Split sentiment_split(std::string_view text);

}  // namespace rankfold
