#include "experiments/tasks/prompt_task.h"

// The tasks by prompt, as data. Texts, their order and the losses are MeZO's (arXiv 2305.17333,
// appendix; Python's templates of its program), which LoRETTA took over.

namespace rankfold {

const std::vector<PromptTask>& prompt_tasks() {
  using enum PromptLoss;
  using enum PromptFormat;
  static const std::vector<PromptTask> all = {
      {.name = "cb",
       .folder = "CB",
       .prompt = "Suppose {premise} Can we infer that \"{hypothesis}\"? Yes, No, or Maybe?\n",
       .options = {{"entailment", "Yes"}, {"contradiction", "No"}, {"neutral", "Maybe"}},
       .held_out_rows = 100},
      {.name = "boolq",
       .folder = "BoolQ",
       .prompt = "{passage} {question|question}\n",
       .options = {{"true", "Yes"}, {"false", "No"}}},
      {.name = "wsc",
       .folder = "WSC",
       .prompt = "{text}\nIn the previous sentence, does the pronoun \"{target.span2_text|lower}\" "
                 "refer to {target.span1_text}? Yes or No?\n",
       .options = {{"false", "No"}, {"true", "Yes"}}},
      {.name = "wic",
       .folder = "WiC",
       .prompt = "Does the word \"{word}\" have the same meaning in these two sentences? Yes, No?\n"
                 "{sentence1}\n{sentence2}\n",
       .options = {{"false", "No"}, {"true", "Yes"}}},
      {.name = "multirc",
       .folder = "MultiRC",
       .format = multirc,
       .prompt = "{paragraph}\nQuestion: {question}\nI found this answer \"{answer}\". Is that "
                 "correct? Yes or No?\n",
       .options = {{"0", "No"}, {"1", "Yes"}}},
      {.name = "copa",
       .folder = "COPA",
       .prompt = "{premise|clause} {question|conjunction}",
       .options = {{"0", " {choice1|continuation}"}, {"1", " {choice2|continuation}"}},
       .loss = tokens,
       .held_out_rows = 100},
      {.name = "record",
       .folder = "ReCoRD",
       .format = record,
       .prompt = "{passage|highlights}\n-",
       .option = " {query|placed}",
       .loss = tokens},
      {.name = "squad",
       .folder = "SQuAD",
       .format = squad,
       .prompt = "Title: {title}\nContext: {context}\nQuestion: {question|strip}\nAnswer:",
       .option = " {answer}\n",
       .loss = tokens,
       .generates = true,
       .metrics = {"f1", "exact_match"}},
      {.name = "drop",
       .folder = "DROP",
       .format = drop,
       .prompt = "Passage: {context}\nQuestion: {question|strip}\nAnswer:",
       .option = " {answer}\n",
       .loss = tokens,
       .generates = true,
       .metrics = {"f1", "exact_match"}},
      {.name = "sst2",
       .folder = "SST-2",
       .prompt = "{text|strip} It was",
       .options = {{"0", " terrible"}, {"1", " great"}},
       .glue_fields = {"text"}},
      {.name = "rte",
       .folder = "RTE",
       .prompt = "{premise}\nDoes this mean that \"{hypothesis}\" is true? Yes or No?\n",
       .options = {{"entailment", "Yes"}, {"not_entailment", "No"}},
       .glue_fields = {"premise", "hypothesis"}},
  };
  return all;
}

const PromptTask* find_prompt_task(std::string_view name) {
  for (const PromptTask& task : prompt_tasks())
    if (task.name == name) return &task;
  return nullptr;
}

}  // namespace rankfold
