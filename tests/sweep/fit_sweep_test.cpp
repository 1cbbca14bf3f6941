#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/sweep/fit_journal.h"
#include "experiments/sweep/fit_sweep.h"
#include "fit/array_bytes.h"
#include "sweep/sweep_fixture.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

/// Six fits of one small file, made one after the other.
class FitSweep : public testing::Test {
 protected:
  FitSweep() { write_updates(1); }

  void write_updates(double scale) const {
    std::vector<float> numbers;
    for (int i = 0; i < 2 * 6 * 5; ++i)
      numbers.push_back(static_cast<float>(scale * ((i * 7919) % 23 - 11)));
    write_atomically(folder_.path / "updates.npy",
                     array_bytes("<f4", "False", "(2, 6, 5)", bytes_of(numbers)));
  }

  /// Makes the missing fits; an Error ends it after `most` of them, as the end of the process
  /// would.
  std::vector<std::optional<FitRow>> fit(std::size_t most, const std::string& more = "") {
    const Sweep sweep =
        parse_sweep(entries_of("kind = fit\ninput = " + (folder_.path / "updates.npy").string() +
                               "\nmethod = lora, lotr\nrank = 1, 2, 3\nthreads = 1\n" + more),
                    registry_);
    const std::vector<PlannedRun> runs = expand(sweep, registry_, {}).runs;
    const UpdateFiles files(sweep.inputs, sweep.minus, sweep.heads);
    FitJournal journal(folder_.path / "fits.jsonl");
    std::vector<std::optional<FitRow>> rows = kept_fits(sweep, runs, files, journal);
    made_ = 0;
    try {
      fit_missing(sweep, runs, registry_, files, journal, rows, [&](const FitRow&) {
        if (++made_ == most) throw Error("the end");
      });
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "the end");
    }
    return rows;
  }

  fs::path journal() const { return folder_.path / "fits.jsonl"; }

  TemporaryFolder folder_;
  Registry registry_ = builtin_registry();
  std::size_t made_ = 0;
};

TEST_F(FitSweep, GoesOnFromItsFinishedFits) {
  fit(2);
  const std::string whole = fits_csv(fit(100));
  EXPECT_EQ(made_, 4U);
  EXPECT_EQ(std::ranges::count(whole, '\n'), 7);
  EXPECT_EQ(fits_csv(fit(100)), whole) << "kept rows have their times and all their digits";
  EXPECT_EQ(made_, 0U);
}

TEST_F(FitSweep, TakesNoLineThatIsNotWhole) {
  fit(100);
  const std::string whole = read_text(journal());
  for (const std::size_t cut : {whole.size() - 1, whole.size() - 2, whole.size() - 100}) {
    write_atomically(journal(), whole.substr(0, cut));
    fit(100);
    EXPECT_EQ(made_, cut == whole.size() - 1 ? 0U : 1U);
    fit(100);
    EXPECT_EQ(made_, 0U) << "the line behind a broken one is whole";
  }
  for (const std::string& noise :
       {std::string("{\"fit\": 3}\n"), std::string(100'000, '['), std::string("\0\n", 2)}) {
    write_atomically(journal(), noise + whole);
    fit(100);
  }
}

TEST_F(FitSweep, FitsOtherContentUnderTheSameNameAgain) {
  const std::string before = fits_csv(fit(100));
  write_updates(0.5);
  const auto other = fit(100);
  EXPECT_EQ(made_, 6U);
  write_updates(1);
  EXPECT_EQ(fits_csv(fit(100)), before);
  EXPECT_EQ(made_, 0U);
}

TEST_F(FitSweep, OtherSettingsOfTheSweepAreOtherFits) {
  fit(100);
  for (const char* more : {"starts = 3\n", "iterations = 7\n", "tolerance = 1e-3\n", "seed = 5\n",
                           "lotr.stack = per-type\n"}) {
    fit(100, more);
    EXPECT_GT(made_, 0U) << more;
  }
}

TEST_F(FitSweep, RefusesAJournalThatIsNoFile) {
  fs::create_directories(journal());
  EXPECT_THAT(message_of<Error>([&] { const FitJournal refused(journal()); }),
              HasSubstr("fits.jsonl"));
}

}  // namespace
}  // namespace rankfold
