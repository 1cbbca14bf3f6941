#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// One labelled text. `text` and `pair` are kept byte for byte as the file has them (valid UTF-8).
struct Example {
  std::string text;
  std::string pair;      ///< second sentence; empty: the task has none
  float label = 0;       ///< class, 0, 1, ..., or regression target
  std::size_t line = 0;  ///< of the file that it is from, see Dataset; 1-based
  std::size_t part = 0;  ///< of the scored rows, see Task::parts
};

struct Task;
struct Dataset;
struct PromptTask;

/// To score a model, the rows to train on need not be there.
enum class RowsNeeded { all, scored };

/// Reads a task's rows from a folder or, for a table of one's own, a file.
using TaskReader =
    std::function<Dataset(const Task& task, const std::filesystem::path& data, RowsNeeded needed)>;

struct Task {
  std::string name;
  bool regression = false;
  std::size_t labels = 2;  ///< width of the output: number of classes, 1 for regression
  bool has_pair = false;
  std::vector<std::string> metrics;  ///< names as in metrics.h; the first one is the main score
  std::vector<std::string> classes = {};  ///< by name, in the order of the outputs; else empty
  /// Where the scored rows come in several parts, each with scores of its own: what is added to
  /// the names of its scores ("" for the first, "mismatched").
  std::vector<std::string> parts = {};
  TaskReader read = {};
  /// How a language model is asked in words, instead of a head (see prompt_data.h); else null.
  std::shared_ptr<const PromptTask> prompt = {};
};

/// Every task that has a name, in the order of the documentation (docs/tasks.md):
///
///   cola, sst2, stsb, mrpc, qqp, mnli, qnli, rte, wnli
///              GLUE, with GLUE's metrics
///   cb, boolq, wsc, wic, multirc, copa, record, squad, drop
///              asked in words alone, see prompt_task.h (so can be sst2 and rte)
///   movies, products, tweets, editorials
///              sentiment (1 positive), see load_dataset; accuracy, F1, Matthews correlation
///   movies-regression, products-regression, tweets-regression, editorials-regression
///              the same texts and splits, with the mean human rating in -4 to 4 as target;
///              Pearson, Spearman
const std::vector<Task>& tasks();

/// The task of that name. Throws UsageError with the nearest name where there is none.
const Task& find_task(std::string_view name);

/// What a user says of a task. Where `data` is a table of one's own (see is_table_file), the rest
/// tells how to read it, and `task` is only its name.
struct TaskChoice {
  std::string task;
  std::filesystem::path data = {};
  std::string text = {};    ///< column of the text, or of two: "COLUMN,COLUMN"; "": text
  std::string label = {};   ///< column of the class or number; "": label
  std::string dev = {};     ///< table with the rows to score; "": a part of `data`
  std::string metric = {};  ///< "": accuracy; a correlation makes it a regression
  /// The classes of the outputs of a model that is there already; empty: those of the table, sorted
  /// (by value where all are whole numbers, else by bytes).
  std::vector<std::string> classes = {};
  std::string scoring = {};  ///< "prompt": asked in words; "" and "head": by a head
  std::string prompt = {};   ///< of a table, asked in words: see own_prompt_task
  bool in_words() const { return scoring == "prompt"; }
  auto operator<=>(const TaskChoice&) const = default;
};

/// The same; reads a table for its classes. Throws UsageError where columns, a metric or a prompt
/// are named for a task that is no table, the metric is not for such labels, labels are numbers
/// that can only be meant for regression while the metric is of classes, or the task is not asked
/// so; Error naming the file, row and column as load_dataset does, and where all labels are alike.
Task find_task(const TaskChoice& choice);

/// What a run calls a table: its file's name without the ending, which stays where a task has that
/// name.
std::string table_task_name(const std::filesystem::path& file);

enum class Split { train, held_out, dev };

struct Dataset {
  std::vector<Example> train;
  std::vector<Example> held_out;  ///< for choosing learning rates; empty for GLUE, which has none
  std::vector<Example> dev;
  std::filesystem::path train_file;                 ///< of train
  std::vector<std::filesystem::path> scored_files;  ///< of held_out and dev, by Example::part
  std::size_t duplicates_removed = 0;  ///< rows that repeat an earlier row's text; sentiment alone
  std::size_t neutral_removed = 0;     ///< rows left out as neutral, duplicates not counted
  std::size_t broken_removed = 0;      ///< rows of QQP that lack columns
  std::size_t shared = 0;              ///< rows of dev whose texts stand in train, too
  std::vector<std::string> notes;      ///< what a user should know of the rows, a line each
};

/// The examples of one split.
const std::vector<Example>& examples(const Dataset& dataset, Split split);

/// The split that the setting score-on names: "dev", or "held-out" (for choosing learning rates, so
/// that dev stays unseen). Throws UsageError for another word.
Split scored_split(const std::string& score_on);
/// Its examples. Throws UsageError where there are none.
const std::vector<Example>& scored_examples(const Task& task, const Dataset& dataset,
                                            const std::string& score_on);

/// Reads a task from the folder `data`. `max_train` keeps the first N examples of train; 0 keeps
/// all. held_out and dev are never cut. Where only the scored rows are needed, train may be empty.
///
/// **GLUE**: `data` holds the task's files as GLUE ships them (train.tsv, dev.tsv; for MNLI
/// dev_matched.tsv and dev_mismatched.tsv, which may be missing), or a folder of GLUE's name (CoLA,
/// SST-2, ...) or the task's name, in any case, which holds them. In place of a .tsv there may be
/// JSON lines (.jsonl), dev may be called val or validation. Columns are GLUE's, or those of the
/// GLUE data set on the Hub, for RTE also SuperGLUE's; docs/tasks.md lists them. A class is its
/// name or its number. Every row is kept, in file order; only of QQP the rows that lack a column,
/// a question or a label are left out, as GLUE's loaders do, and counted.
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
/// **A table of one's own**: `data` is the file. With a table of dev rows (TaskChoice::dev), all
/// rows of `data` are trained on; else table_split divides them. Every row is kept, in file order.
///
/// `shared` counts the rows of dev whose texts (both, normalised) stand in train; a note tells it.
///
/// A UTF-8 byte order mark and CR LF are tolerated. Throws Error naming file and line, what was
/// found and what was expected: a missing or empty file, a wrong number of columns, a missing
/// column name, invalid UTF-8, a zero byte, an empty sentence, a label that is no class of the
/// task, a score that is no number or out of range, no examples left in train or dev.
Dataset load_dataset(const Task& task, const std::filesystem::path& data, std::size_t max_train = 0,
                     RowsNeeded needed = RowsNeeded::all);

/// The text with every run of ASCII white space (space, \t, \n, \v, \f, \r) as one space, none at
/// its ends, and A-Z in lower case; other bytes are untouched.
std::string normalise_text(std::string_view text);

/// FNV-1a, 64 bits (offset basis 14695981039346656037, prime 1099511628211; Fowler, Noll, Vo), over
/// the bytes of normalise_text(text).
std::uint64_t text_hash(std::string_view text);

/// Of a text and its pair ("" for none): equal for rows of the same texts.
std::uint64_t texts_hash(const Example& example);

/// text_hash(text) modulo 10: 0 to 6 train, 7 held_out, 8 and 9 dev.
Split sentiment_split(std::string_view text);

/// The same of texts_hash: rows of the same texts never straddle.
Split table_split(const Example& example);

/// The columns of a table of one's own whose texts table_split divides it by, in their order.
std::vector<std::string> dividing_columns(const TaskChoice& choice);

}  // namespace rankfold
