#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "experiments/runs/settings.h"
#include "source_paths.h"

namespace rankfold {

/// A folder of its own for one test, with a tiny BERT that can read English words (the golden
/// weights and a vocabulary of as many words) and a small CoLA. Removed afterwards.
class Workplace : public testing::Test {
 protected:
  Workplace() {
    namespace fs = std::filesystem;
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder = fs::temp_directory_path() / (std::string("rankfold-") + test->test_suite_name() + "-" +
                                          test->name() + "-" + std::to_string(::getpid()));
    fs::remove_all(folder);
    fs::create_directories(folder / "model");
    const fs::path golden = fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert";
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy_file(golden / name, folder / "model" / name);
    }
    std::ofstream vocabulary(folder / "model/vocab.txt");
    vocabulary << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (int word = 5; word < 101; ++word) vocabulary << "w" << word << '\n';
    vocabulary.close();
    fs::create_directories(folder / "data");
    write_rows("train.tsv", 40);
    write_rows("dev.tsv", 17);
  }
  ~Workplace() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  /// Sentences of 1 to 9 words; acceptable where the first word is even.
  void write_rows(const std::string& name, int rows) const {
    std::ofstream file(folder / "data" / name);
    for (int row = 0; row < rows; ++row) {
      const int first = 5 + (row * 37) % 96;
      file << "s\t" << (first % 2 == 0 ? 1 : 0) << "\t\tw" << first;
      for (int word = 0; word < row % 9; ++word) file << " w" << 5 + (row * 11 + word * 7) % 96;
      file << '\n';
    }
  }

  RunSettings settings(const std::string& method = "lora", const std::string& rank = "2") const {
    RunSettings result;
    result.values = {{"model", (folder / "model").string()},
                     {"data", (folder / "data").string()},
                     {"task", "cola"},
                     {"method", method},
                     {"rank", rank},
                     {"lr", "1e-2"},
                     {"epochs", "2"},
                     {"batch", "8"},
                     {"max-length", "16"},
                     {"dropout", "0.1"},
                     {"threads", "1"}};
    if (rank.empty()) result.values.erase("rank");
    return result;
  }

  std::filesystem::path folder;
};

/// The message of the Error that `action` throws; "" where it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const std::exception& failure) {
    return failure.what();
  }
  return "";
}

}  // namespace rankfold
