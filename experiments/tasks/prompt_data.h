#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "experiments/tasks/prompt_task.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// How many rows are drawn. LoRETTA and MeZO: 1,000, the task's held_out_rows, 1,000.
struct PromptSizes {
  std::size_t train = 1000, held_out = 500, dev = 1000;
};

/// The rows of a task by prompt, as drawn. In the words of the papers held_out is their dev set
/// (for choosing rates and checkpoints), and dev, from the published validation file, their test
/// set.
struct PromptDataset {
  std::vector<PromptExample> train, held_out, dev;
  std::filesystem::path train_file, dev_file;  ///< held_out is of the first
  std::vector<std::string> notes = {};         ///< what a user should know of the rows, a line each
};

/// Draws the wanted splits of a task from `data`: a folder with its files, or with a folder of the
/// task's name or SuperGLUE's (CB, BoolQ, WSC, WiC, MultiRC, COPA, ReCoRD, RTE; SST-2, SQuAD, DROP)
/// in it. Files are train.jsonl and val.jsonl (dev, validation) as SuperGLUE ships them (nested
/// fields have names such as target.span1_text; one row a question and answer of MultiRC, a query
/// of ReCoRD); sst2 and rte are read as load_dataset does, JSON lines first; train-v1.1.json and
/// dev-v1.1.json of SQuAD; drop_dataset_train.json and drop_dataset_dev.json of DROP, of whose
/// answers a number is one text, each span one, and a date its day, month and year, the validated
/// ones behind the first.
///
/// A split is the first rows of a permutation of the file's rows addressed by (seed,
/// "prompt-rows"): of this project's RandomStream, so not the rows that numpy's generator draws for
/// the papers. train and held_out lie behind each other in the first train + held_out rows; where
/// the file has fewer, train is what held_out leaves. dev is the first rows of its own file, all of
/// them where there are fewer.
///
/// Throws Error naming file and line or key: no such file, a row that is none, a row whose label is
/// no option's, or that lacks a field or its text; fewer rows than held_out and one more. Rows that
/// are not drawn need only be JSON.
PromptDataset load_prompt_dataset(const PromptTask& task, const std::filesystem::path& data,
                                  const PromptSizes& sizes, std::uint64_t seed,
                                  std::span<const Split> wanted);

/// What a run reads of a task that is asked in words (Task::prompt): the rows of a named task as
/// load_prompt_dataset draws them, or those of a table as load_own_prompt_rows divides them. Of
/// train the first `max_train` rows, 0: as many as the protocol has (1,000), or the table; more
/// than that are drawn, with other held-out rows behind them. A note tells the rows of dev whose
/// texts stand in train.
PromptDataset load_prompt_rows(const Task& task, const TaskChoice& choice, std::size_t max_train,
                               std::uint64_t seed, std::span<const Split> wanted);

/// Of a prompt and its options: equal for rows of the same texts.
std::uint64_t texts_hash(const PromptExample& example);

/// As scored_examples of a Dataset.
const std::vector<PromptExample>& scored_examples(const Task& task, const PromptDataset& dataset,
                                                  const std::string& score_on);

/// Visits the rows of a file in order. Only rows that are asked for are formed.
using PromptRowMaker = std::function<PromptRow()>;
using PromptRowVisitor = std::function<void(const PromptRowMaker& make)>;
void visit_prompt_rows(const PromptTask& task, const std::filesystem::path& file,
                       const PromptRowVisitor& visit);

}  // namespace rankfold
