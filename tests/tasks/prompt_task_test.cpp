#include "experiments/tasks/prompt_task.h"

#include <algorithm>
#include <array>
#include <set>

#include "experiments/tasks/prompt_data.h"
#include "experiments/tasks/prompt_own.h"
#include "folder.h"

namespace rankfold {
namespace {

std::vector<PromptExample> examples_of(const char* task, const std::filesystem::path& file) {
  const PromptTask* found = find_prompt_task(task);
  const PromptWriter writer(*found);
  std::vector<PromptExample> examples;
  visit_prompt_rows(*found, file,
                    [&](const PromptRowMaker& make) { examples.push_back(writer.write(make())); });
  return examples;
}

std::vector<PromptExample> read(const char* task, const std::string& rows,
                                const char* name = "rows.jsonl") {
  const Folder folder;
  return examples_of(task, folder.write(name, rows));
}

TEST(PromptTasks, AskAsMezoDoes) {
  const auto cb =
      read("cb", R"({"premise":"It rained.","hypothesis":"it was wet","label":"neutral"})");
  EXPECT_EQ(cb[0].prompt,
            "Suppose It rained. Can we infer that \"it was wet\"? Yes, No, or Maybe?\n");
  EXPECT_THAT(cb[0].options,
              ElementsAre(cb[0].prompt + "Yes", cb[0].prompt + "No", cb[0].prompt + "Maybe"));
  EXPECT_EQ(cb[0].gold, 2u);
  EXPECT_THAT(cb[0].place, HasSubstr("rows.jsonl:1"));

  const auto boolq = read("boolq", R"({"question":"is it so","passage":"A text.","label":true})"
                                   "\n"
                                   R"({"question":"Are they?","passage":"B.","label":false})");
  EXPECT_EQ(boolq[0].prompt, "A text. Is it so?\n");
  EXPECT_THAT(boolq[0].options, ElementsAre("A text. Is it so?\nYes", "A text. Is it so?\nNo"));
  EXPECT_EQ(boolq[0].gold, 0u);
  EXPECT_EQ(boolq[1].prompt, "B. Are they?\n");
  EXPECT_EQ(boolq[1].gold, 1u);

  const auto wsc = read(
      "wsc",
      R"({"text":"Mark told Pete. He left.","target":{"span1_index":0,"span2_index":3,"span1_text":"Mark","span2_text":"He"},"idx":0,"label":false})");
  EXPECT_EQ(wsc[0].prompt,
            "Mark told Pete. He left.\nIn the previous sentence, does the pronoun \"he\" refer to "
            "Mark? Yes or No?\n");
  EXPECT_EQ(wsc[0].options[0], wsc[0].prompt + "No");
  EXPECT_EQ(wsc[0].gold, 0u);

  const auto wic =
      read("wic", R"({"word":"run","sentence1":"A run.","sentence2":"They run.","label":true})");
  EXPECT_EQ(wic[0].options[1],
            "Does the word \"run\" have the same meaning in these two sentences? Yes, No?\nA "
            "run.\nThey run.\nYes");
  EXPECT_EQ(wic[0].gold, 1u);

  const auto rte = read("rte", R"({"premise":"A.","hypothesis":"B","label":"not_entailment"})");
  EXPECT_EQ(rte[0].options[1], "A.\nDoes this mean that \"B\" is true? Yes or No?\nNo");
  EXPECT_EQ(rte[0].gold, 1u);
}

TEST(PromptTasks, ChooseACauseOrAnEffect) {
  const auto copa = read(
      "copa",
      R"({"premise":"The man fell. ","choice1":"The floor was wet.","choice2":"I pushed.","question":"cause","label":1})"
      "\n"
      R"({"premise":"It rained","choice1":"Grass grew.","choice2":"It is dry.","question":"effect","label":0})");
  EXPECT_EQ(copa[0].prompt, "The man fell because");
  EXPECT_THAT(copa[0].options, ElementsAre("The man fell because the floor was wet.",
                                           "The man fell because I pushed."));
  EXPECT_EQ(copa[0].gold, 1u);
  EXPECT_EQ(copa[1].options[0], "It rained so grass grew.");
  EXPECT_THAT(message_of([] {
                read("copa",
                     R"({"premise":"a","choice1":"b","choice2":"c","question":"why","label":0})");
              }),
              HasSubstr("rows.jsonl:1: the question is 'why', expected effect or cause"));
}

TEST(PromptTasks, HaveARowForEachAnswerOfMultircAndEachQueryOfRecord) {
  const auto multirc = read(
      "multirc",
      R"({"idx":0,"version":1.1,"passage":{"text":"P.","questions":[{"question":"Q1?","answers":[{"text":"a","idx":0,"label":0},{"text":"b","idx":1,"label":1}],"idx":0},{"question":"Q2?","answers":[{"text":"c","idx":2,"label":1}],"idx":1}]}})");
  ASSERT_EQ(multirc.size(), 3u);
  EXPECT_EQ(multirc[1].prompt,
            "P.\nQuestion: Q1?\nI found this answer \"b\". Is that correct? Yes or No?\n");
  EXPECT_EQ(multirc[0].gold, 0u);
  EXPECT_EQ(multirc[1].gold, 1u);
  EXPECT_THAT(multirc[2].prompt, HasSubstr("Q2?\nI found this answer \"c\""));

  // Ranges count characters; an entity that comes twice is one candidate.
  const auto record = read(
      "record",
      R"({"passage":{"text":"Zoë met Al.\n@highlight\nAl won","entities":[{"start":8,"end":9},{"start":0,"end":2},{"start":23,"end":24}]},"qas":[{"query":"@placeholder lost to Al","answers":[{"start":0,"end":2,"text":"Zoë"}],"idx":0}]})");
  ASSERT_EQ(record.size(), 1u);
  EXPECT_EQ(record[0].prompt, "Zoë met Al.\n- Al won\n-");
  EXPECT_THAT(record[0].options, ElementsAre("Zoë met Al.\n- Al won\n- Al lost to Al",
                                             "Zoë met Al.\n- Al won\n- Zoë lost to Al"));
  EXPECT_THAT(record[0].option_names, ElementsAre("Al", "Zoë"));
  EXPECT_THAT(record[0].right, ElementsAre(1u));
  EXPECT_EQ(record[0].gold, 1u);
}

TEST(PromptTasks, GenerateTheAnswersOfSquadAndDrop) {
  const auto squad = read(
      "squad",
      R"({"version":"1.1","data":[{"title":"T","paragraphs":[{"context":"C.","qas":[{"id":"1","question":" Who? ","answers":[{"text":"Ann","answer_start":0},{"text":"Ann B","answer_start":0},{"text":"Ann","answer_start":4}]}]}]}]})",
      "train.json");
  ASSERT_EQ(squad.size(), 1u);
  EXPECT_EQ(squad[0].prompt, "Title: T\nContext: C.\nQuestion: Who?\nAnswer:");
  EXPECT_THAT(squad[0].options, ElementsAre(squad[0].prompt + " Ann\n"));
  EXPECT_THAT(squad[0].answers, ElementsAre("Ann", "Ann B"));
  EXPECT_THAT(squad[0].place, HasSubstr("data[0].paragraphs[0].qas[0]"));

  const std::string empty_date = R"("date":{"day":"","month":"","year":""})";
  const auto drop = read(
      "drop",
      R"({"p1":{"passage":"P.","qa_pairs":[{"question":"How many?","query_id":"q","answer":{"number":"3",)" +
          empty_date + R"(,"spans":[]},"validated_answers":[{"number":"4",)" + empty_date +
          R"(,"spans":[]}]},{"question":"Who?","query_id":"r","answer":{"number":"",)" +
          empty_date +
          R"(,"spans":["Ann","Bo"]}},{"question":"When?","query_id":"s","answer":{"number":"","date":{"day":"2","month":"May","year":"1990"},"spans":[]}}]}})",
      "drop.json");
  ASSERT_EQ(drop.size(), 3u);
  EXPECT_EQ(drop[0].options[0], "Passage: P.\nQuestion: How many?\nAnswer: 3\n");
  EXPECT_THAT(drop[0].answers, ElementsAre("3", "4"));
  EXPECT_THAT(drop[1].answers, ElementsAre("Ann", "Bo"));
  EXPECT_THAT(drop[2].answers, ElementsAre("2 May 1990"));
}

TEST(PromptTasks, NameTheRowThatIsNotWhatTheyNeed) {
  EXPECT_THAT(message_of([] { read("cb", R"({"premise":"a","hypothesis":"b","label":"maybe"})"); }),
              HasSubstr("rows.jsonl:1: the label is 'maybe', expected entailment, contradiction, "
                        "neutral"));
  EXPECT_THAT(message_of([] { read("cb", R"({"premise":"a","label":"neutral"})"); }),
              HasSubstr("rows.jsonl:1: has no 'hypothesis', which the prompt needs (it has label, "
                        "premise)"));
  EXPECT_THAT(message_of([] { read("cb", R"({"premise":"a","hypothesis":"b"})"); }),
              HasSubstr("rows.jsonl:1: has no 'label'"));
  EXPECT_THAT(
      message_of([] {
        read(
            "record",
            R"({"passage":{"text":"Al won","entities":[{"start":0,"end":1}]},"qas":[{"query":"@placeholder","answers":[{"text":"Bo"}]}]})");
      }),
      HasSubstr("rows.jsonl:1: the answer 'Bo' is none of the 1 candidates"));
  EXPECT_THAT(
      message_of([] {
        read(
            "record",
            R"({"passage":{"text":"Al won","entities":[{"start":0,"end":1}]},"qas":[{"query":"q","answers":[{"text":"Al"}]}]})");
      }),
      HasSubstr("rows.jsonl:1: found no @placeholder in 'q'"));
  EXPECT_THAT(
      message_of([] { read("cb", R"({"premise":"a","hypothesis":" ","label":"neutral"})"); }),
      HasSubstr("rows.jsonl:1: found no text in 'hypothesis', expected one"));
  EXPECT_THAT(
      message_of([] {
        read(
            "record",
            R"({"passage":{"text":"Al","entities":[{"start":0,"end":7}]},"qas":[{"query":"q","answers":[{"text":"Al"}]}]})");
      }),
      HasSubstr("entities[0]"));
  EXPECT_THAT(
      message_of([] {
        read(
            "squad",
            R"({"data":[{"title":"T","paragraphs":[{"context":"C","qas":[{"question":"Q","answers":[]}]}]}]})",
            "s.json");
      }),
      HasSubstr("data[0].paragraphs[0].qas[0]: has no answer, expected at least one"));
}

PromptSizes sizes(std::size_t train, std::size_t held_out, std::size_t dev) {
  return {train, held_out, dev};
}

/// The texts of examples of sst2 rows "row N".
std::vector<std::string> prompts(const std::vector<PromptExample>& examples) {
  std::vector<std::string> texts;
  for (const PromptExample& example : examples) texts.push_back(example.prompt);
  return texts;
}

TEST(PromptData, DrawsSplitsThatDoNotOverlap) {
  const Folder folder;
  std::string train = "sentence\tlabel\n", dev = train;
  for (int i = 0; i < 20; ++i) train += fmt::format("row {} \t{}\n", i, i % 2);
  for (int i = 0; i < 7; ++i) dev += fmt::format("dev {}\t0\n", i);
  folder.write("SST-2/train.tsv", train);
  folder.write("SST-2/dev.tsv", dev);
  const PromptTask& sst2 = *find_prompt_task("sst2");
  constexpr std::array all = {Split::train, Split::held_out, Split::dev};
  const PromptDataset drawn = load_prompt_dataset(sst2, folder.path(), sizes(9, 4, 5), 1, all);
  EXPECT_EQ(drawn.train.size(), 9u);
  EXPECT_EQ(drawn.held_out.size(), 4u);
  EXPECT_EQ(drawn.dev.size(), 5u);
  EXPECT_TRUE(drawn.train[0].prompt.ends_with(" It was"));
  EXPECT_EQ(drawn.train[0].options[1], drawn.train[0].prompt + " great");
  const auto train_texts = prompts(drawn.train), held_out = prompts(drawn.held_out);
  std::set<std::string> different(train_texts.begin(), train_texts.end());
  different.insert(held_out.begin(), held_out.end());
  EXPECT_EQ(different.size(), 13u);
  EXPECT_FALSE(std::ranges::is_sorted(train_texts));
  // The same again, alone, of another seed, and in the folder itself.
  const PromptDataset again = load_prompt_dataset(sst2, folder.path() / "SST-2", sizes(9, 4, 5), 1,
                                                  std::array{Split::train});
  EXPECT_EQ(prompts(again.train), train_texts);
  EXPECT_TRUE(again.held_out.empty());
  EXPECT_TRUE(again.dev.empty());
  EXPECT_NE(prompts(load_prompt_dataset(sst2, folder.path(), sizes(9, 4, 5), 2, all).train),
            train_texts);
  // Of fewer rows than are asked for, train is what is left.
  const PromptDataset few = load_prompt_dataset(sst2, folder.path(), sizes(1000, 4, 1000), 1, all);
  EXPECT_EQ(few.train.size(), 16u);
  EXPECT_EQ(few.held_out.size(), 4u);
  EXPECT_EQ(few.dev.size(), 7u);
  EXPECT_THAT(
      message_of([&] { load_prompt_dataset(sst2, folder.path(), sizes(9, 20, 5), 1, all); }),
      HasSubstr("train.tsv: found 20 rows, expected more than the 20 that are held out"));
  EXPECT_THAT(
      message_of([&] { load_prompt_dataset(*find_prompt_task("cb"), folder.path(), {}, 1, all); }),
      HasSubstr("found neither train.jsonl, dev.jsonl, val.jsonl, validation.jsonl nor a folder "
                "CB, expected them for task 'cb'"));
}

TEST(PromptData, ReadsGlueAsItsHeadsDo) {
  const auto same = [](const char* task, const std::string& rows, const std::string& others,
                       const char* name = "rows.jsonl") {
    const auto one = read(task, rows), other = read(task, others, name);
    ASSERT_EQ(one.size(), other.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(one[i].options, other[i].options);
      EXPECT_EQ(one[i].gold, other[i].gold);
    }
  };
  const std::string sst2 = R"({"text":"fine","label":1})",
                    rte = R"({"premise":"a","hypothesis":"b","label":"not_entailment"})";
  EXPECT_EQ(read("sst2", sst2)[0].options[1], "fine It was great");
  EXPECT_EQ(read("sst2", sst2)[0].gold, 1u);
  same("sst2", sst2, R"({"sentence":"fine","label":"positive","idx":0})");
  same("sst2", sst2, "sentence\tlabel\nfine\t1\n", "rows.tsv");
  EXPECT_EQ(read("rte", rte)[0].gold, 1u);
  same("rte", rte, R"({"sentence1":"a","sentence2":"b","label":1,"idx":0})");
  same("rte", rte, "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n", "rows.tsv");
  for (const char* dev : {"dev.jsonl", "validation.jsonl", "val.jsonl"}) {
    const Folder folder;
    folder.write(std::string("sst-2/") + dev, sst2 + "\n");
    const PromptDataset rows = load_prompt_dataset(*find_prompt_task("sst2"), folder.path(), {}, 1,
                                                   std::array{Split::dev});
    EXPECT_EQ(rows.dev.size(), 1u) << dev;
    EXPECT_EQ(rows.dev_file.filename(), dev);
  }
}

TEST(PromptTemplates, TakeFieldsBracesAndFilters) {
  PromptRow row;
  row.place = "rows.tsv:3";
  row.fields = {{"a", " He "}, {"b", "i ran. "}};
  EXPECT_EQ(PromptTemplate("<{a}|{a|strip}> {{x}} {b|clause}{b|question}", "p").fill(row),
            "< He |He> {x} i ranI ran. ?");
  EXPECT_EQ(message_of([&] { PromptTemplate("{c}", "p").fill(row); }),
            "rows.tsv:3: has no 'c', which the prompt needs (it has a, b)");
  std::size_t last = 0;
  PromptTemplate("<{a}|{b}> ", "p").fill(row, &last);
  EXPECT_EQ(last, 6u);
  EXPECT_THAT(message_of([] { PromptTemplate("a {b", "p"); }), HasSubstr("p: the brace at byte 3"));
  EXPECT_THAT(message_of([] { PromptTemplate("a } b", "p"); }),
              HasSubstr("p: the brace at byte 3"));
  EXPECT_THAT(message_of([] { PromptTemplate("{}", "p"); }), HasSubstr("names no field"));
  EXPECT_THAT(message_of([] { PromptTemplate("{a|stripp}", "p"); }), HasSubstr("'strip'"));
}

TEST(PromptTemplates, OfTheUsersOwnEndWithTheLabel) {
  const std::vector<std::string> classes = {"bad", "{good}"};
  const PromptTask task = own_prompt_task("Review: {text}\\nIt was {label}", classes);
  PromptRow row;
  row.fields = {{"text", "Fine."}, {"label", "{good}"}};
  const PromptExample example = PromptWriter(task).write(row);
  EXPECT_EQ(example.prompt, "Review: Fine.\nIt was");
  EXPECT_THAT(example.options,
              ElementsAre("Review: Fine.\nIt was bad", "Review: Fine.\nIt was {good}"));
  EXPECT_EQ(example.gold, 1u);
  EXPECT_EQ(task.loss, PromptLoss::options);
  for (const char* wrong : {"Review: {text}", "{label} {text}", "{label} is {label}"})
    EXPECT_THROW(own_prompt_task(wrong, classes), UsageError) << wrong;
  EXPECT_THROW(own_prompt_task("{text} {label}", std::array<std::string, 1>{"one"}), UsageError);
}

TEST(PromptTemplates, ReadATableOfTheUsersOwn) {
  const Folder folder;
  std::string table = "title,body,mood\n";
  for (int i = 0; i < 40; ++i)
    table += fmt::format("T{0},\"a, b {0}\",{1}\nT{0},\"a, b {0}\",{1}\n", i,
                         i % 3 == 0 ? "sad" : "glad");
  TaskChoice choice{.task = "own",
                    .data = folder.write("own.csv", table),
                    .label = "mood",
                    .scoring = "prompt",
                    .prompt = "{title}: {body} It is {label}"};
  const auto load = [&](std::size_t max_train = 0) {
    return load_prompt_rows(find_task(choice), choice, max_train, 1, {});
  };
  const PromptDataset rows = load();
  EXPECT_EQ(rows.train.size() + rows.held_out.size() + rows.dev.size(), 80u);
  EXPECT_FALSE(rows.train.empty());
  EXPECT_FALSE(rows.dev.empty());
  EXPECT_THAT(rows.dev[0].option_names, ElementsAre("glad", "sad"));
  EXPECT_TRUE(rows.dev[0].options[1].ends_with(" It is sad"));
  // Equal prompts never straddle.
  const auto train = prompts(rows.train), dev = prompts(rows.dev);
  for (const std::string& prompt : dev) EXPECT_EQ(std::ranges::count(train, prompt), 0) << prompt;
  EXPECT_EQ(prompts(load(5).train), std::vector(train.begin(), train.begin() + 5));
  // Other words between the columns leave every row where it is.
  choice.prompt = "{body} of {title}, {label}";
  const PromptDataset reworded = load();
  for (const auto& [one, other] :
       {std::pair(&rows.dev, &reworded.dev), {&rows.train, &reworded.train}})
    EXPECT_TRUE(std::ranges::equal(*one, *other, {}, &PromptExample::line, &PromptExample::line));

  choice.prompt = "{title}: {body} It is {label}";
  choice.dev = folder.write("dev.tsv", "mood\tbody\ttitle\nsad\tx\tT\nsad\ta, b 0\tT0\n");
  const PromptDataset apart = load();
  EXPECT_EQ(apart.train.size(), 80u);
  ASSERT_EQ(apart.dev.size(), 2u);
  EXPECT_EQ(apart.dev[0].prompt, "T: x It is");
  EXPECT_EQ(apart.dev[0].gold, 1u);
  EXPECT_THAT(apart.notes, ElementsAre(HasSubstr("1 of the 2 rows of dev stand in train")));

  const auto failure = [&] { return message_of(load); };
  choice.dev = folder.write("dev.tsv", "mood\tbody\ttitle\nbad\tx\tT\n");
  EXPECT_THAT(failure(), HasSubstr("dev.tsv:2: the label is 'bad', expected glad, sad"));
  choice.dev = folder.write("dev.tsv", "mood\tbody\ttitle\nsad\t \tT\n");
  EXPECT_THAT(failure(), HasSubstr("dev.tsv:2: found no text in column 'body'"));
  choice.prompt = "{tiitle} {label}";
  EXPECT_THAT(failure(), HasSubstr("'tiitle'"));
  choice.prompt = "{mood} {label}";
  EXPECT_THAT(failure(), HasSubstr("asks with the label's column 'mood'"));
  choice.prompt = "It is {label}";
  EXPECT_THAT(failure(), HasSubstr("--prompt: names no column"));
  choice.metric = "f1";
  EXPECT_THAT(failure(), HasSubstr("--metric is 'f1'"));
  choice.metric.clear();
  choice.data = folder.write("numbers.csv", "body,mood\na,0.5\nb,1\n");
  EXPECT_THAT(failure(), HasSubstr("which are no classes; without a prompt, a head with --metric"));
}

}  // namespace
}  // namespace rankfold
