#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/json_lines.h"
#include "experiments/tasks/prompt_data.h"
#include "experiments/tasks/sources.h"
#include "experiments/tasks/text_lines.h"

// The rows of the files of tasks by prompt.

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// SQuAD's training file has 30 MB, DROP's 100.
constexpr JsonLimits document_limits{std::size_t{1} << 29, 64, 40'000'000};

PromptRow row_of_line(const fs::path& file, std::size_t line) {
  PromptRow row;
  row.line = line;
  row.place = place_of(file, line);
  return row;
}

PromptRow row_of_key(const JsonField& field) {
  PromptRow row;
  row.place = fmt::format("{}: {}", field.file().string(), field.key());
  return row;
}

/// Texts, numbers, true and false, and those of objects in it under "object.member".
void add_fields(const JsonField& object, const std::string& prefix, PromptRow& row) {
  for (const auto& [name, field] : object.members()) {
    if (field.is_string()) row.fields[prefix + name] = field.string();
    if (field.is_number() || field.is_boolean()) row.fields[prefix + name] = field.value().dump();
    if (field.is_object() && prefix.empty()) add_fields(field, name + ".", row);
  }
}

void visit_json_lines(const fs::path& file, const PromptRowVisitor& visit) {
  for_each_json_line(file, [&](const JsonRow& line) {
    visit([&] {
      PromptRow row = row_of_line(file, line.line);
      add_fields(line.fields(), "", row);
      return row;
    });
  });
}

void visit_glue(const PromptTask& task, const fs::path& file, const PromptRowVisitor& visit) {
  std::vector<std::size_t> classes;
  const Table table = read_glue_table(task.name, file, classes);
  for (std::size_t r = 0; r < table.rows.size(); ++r)
    visit([&] {
      const TableRow& cells = table.rows[r];
      PromptRow row = row_of_line(file, cells.line);
      row.fields["label"] = task.options.at(classes[r]).label;
      for (std::size_t i = 0; i < task.glue_fields.size(); ++i)
        row.fields[task.glue_fields[i]] = cells.cells[i];
      return row;
    });
}

/// One row a question and answer.
void visit_multirc(const fs::path& file, const PromptRowVisitor& visit) {
  for_each_json_line(file, [&](const JsonRow& line) {
    const JsonField passage = line.fields().member("passage"),
                    questions = passage.member("questions");
    for (std::size_t q = 0; q < questions.array_size(); ++q) {
      const JsonField question = questions.element(q), answers = question.member("answers");
      for (std::size_t a = 0; a < answers.array_size(); ++a)
        visit([&] {
          PromptRow row = row_of_line(file, line.line);
          const JsonField answer = answers.element(a);
          row.fields = {{"paragraph", passage.member("text").string()},
                        {"question", question.member("question").string()},
                        {"answer", answer.member("text").string()},
                        {"label", take_cell(answer, "label")}};
          return row;
        });
    }
  });
}

/// The characters first to last of a text, both included; nothing where it has no such ones.
std::string character_range(const std::string& text, std::size_t first, std::size_t last) {
  std::size_t begin = text.size(), character = 0;
  for (std::size_t at = 0; at < text.size(); ++character) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text.substr(at, 4)));
    if (character == first) begin = at;
    at += length;
    if (character == last) return begin < at ? text.substr(begin, at - begin) : "";
  }
  return "";
}

void add_once(std::vector<std::string>& all, const std::string& text) {
  if (std::ranges::find(all, text) == all.end()) all.push_back(text);
}

/// One row a query; its candidates are the passage's entities in order, each once.
void visit_record(const fs::path& file, const PromptRowVisitor& visit) {
  for_each_json_line(file, [&](const JsonRow& line) {
    const JsonField passage = line.fields().member("passage"),
                    queries = line.fields().member("qas");
    for (std::size_t q = 0; q < queries.array_size(); ++q)
      visit([&] {
        PromptRow row = row_of_line(file, line.line);
        const std::string& text = passage.member("text").string();
        row.fields = {{"passage", text}, {"query", queries.element(q).member("query").string()}};
        const JsonField entities = passage.member("entities");
        for (std::size_t e = 0; e < entities.array_size(); ++e) {
          const JsonField entity = entities.element(e);
          const std::string name =
              character_range(text, entity.member("start").count(), entity.member("end").count());
          if (name.empty()) entity.refuse("characters of the passage");
          add_once(row.candidates, name);
        }
        const JsonField answers = queries.element(q).member("answers");
        for (std::size_t a = 0; a < answers.array_size(); ++a)
          add_once(row.answers, answers.element(a).member("text").string());
        return row;
      });
  });
}

void visit_squad(const fs::path& file, const PromptRowVisitor& visit) {
  const JsonDocument document(file, document_limits);
  const JsonField articles = document.root().member("data");
  for (std::size_t i = 0; i < articles.array_size(); ++i) {
    const JsonField article = articles.element(i), paragraphs = article.member("paragraphs");
    for (std::size_t p = 0; p < paragraphs.array_size(); ++p) {
      const JsonField paragraph = paragraphs.element(p), questions = paragraph.member("qas");
      for (std::size_t q = 0; q < questions.array_size(); ++q)
        visit([&] {
          const JsonField question = questions.element(q), answers = question.member("answers");
          PromptRow row = row_of_key(question);
          row.fields = {{"title", article.member("title").string()},
                        {"context", paragraph.member("context").string()},
                        {"question", question.member("question").string()}};
          for (std::size_t a = 0; a < answers.array_size(); ++a)
            add_once(row.answers, answers.element(a).member("text").string());
          return row;
        });
    }
  }
}

/// A number, spans or a date; an answer that is none of them has nothing.
void add_drop_answer(const JsonField& answer, std::vector<std::string>& all) {
  if (const auto number = answer.find("number"); number && !number->any_text().empty())
    add_once(all, number->any_text());
  if (const auto spans = answer.find("spans"))
    for (const std::string& span : spans->strings()) add_once(all, span);
  const auto date = answer.find("date");
  if (!date) return;
  std::string text;
  for (const char* part : {"day", "month", "year"}) {
    const auto value = date->find(part);
    const std::string word = value ? value->any_text() : "";
    if (!word.empty()) text += (text.empty() ? "" : " ") + word;
  }
  if (!text.empty()) add_once(all, text);
}

void visit_drop(const fs::path& file, const PromptRowVisitor& visit) {
  const JsonDocument document(file, document_limits);
  document.root().object();
  for (const auto& [id, passage] : document.root().members()) {
    const JsonField questions = passage.member("qa_pairs");
    for (std::size_t q = 0; q < questions.array_size(); ++q)
      visit([&] {
        const JsonField question = questions.element(q);
        PromptRow row = row_of_key(question);
        row.fields = {{"context", passage.member("passage").string()},
                      {"question", question.member("question").string()}};
        add_drop_answer(question.member("answer"), row.answers);
        if (const auto validated = question.find("validated_answers"))
          for (const JsonField& answer : validated->elements())
            add_drop_answer(answer, row.answers);
        return row;
      });
  }
}

}  // namespace

void visit_prompt_rows(const PromptTask& task, const fs::path& file,
                       const PromptRowVisitor& visit) {
  switch (task.format) {
    case PromptFormat::rows:
      return task.glue_fields.empty() ? visit_json_lines(file, visit)
                                      : visit_glue(task, file, visit);
    case PromptFormat::multirc:
      return visit_multirc(file, visit);
    case PromptFormat::record:
      return visit_record(file, visit);
    case PromptFormat::squad:
      return visit_squad(file, visit);
    case PromptFormat::drop:
      return visit_drop(file, visit);
  }
}

}  // namespace rankfold
