#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {

/// Copies of one factor, read as matrices of one of their modes by the others.
struct FactorCondition {
  std::string name;
  std::size_t copies = 0;
  /// The largest ratio of the largest to the smallest singular value over all modes: of the median
  /// copy, and of the worst one. None: a copy is singular to rounding (1e-6), or zero.
  std::optional<double> median = {}, worst = {};
};

/// The update of one site.
struct SiteSpectrum {
  std::string site;
  std::size_t layer = 0;
  std::string matrix = {};
  double norm = 0;                         ///< |dW|_F
  std::optional<double> frozen_norm = {};  ///< |W|_F, where the model was given
  std::size_t rank = 0;                    ///< singular values above 1e-5 of the largest
  /// exp(H(s / sum s)) with the entropy H of the singular values (Roy and Vetterli, The effective
  /// rank, EUSIPCO 2007): how many directions the update is spread over.
  double effective_rank = 0;
  std::vector<double> values = {};  ///< the first `rank` singular values, descending
};

/// Sites of one shape whose updates are not zero, and how alike the updates are.
struct SiteRedundancy {
  std::size_t out = 0, in = 0, sites = 0;
  /// exp(H(lambda / sites)) with the eigenvalues lambda of the matrix of cosines <dW_s, dW_t> /
  /// (|dW_s| |dW_t|): 1 where all updates point one way, the number of sites where they are
  /// orthogonal.
  double independent = 0;
  /// 1 - independent / sites; 0 of a single site.
  double redundancy = 0;
  struct Pair {
    std::string first, second;
    double cosine = 0;
  };
  std::vector<Pair> most_alike = {};  ///< by |cosine|, at most five
};

struct Diagnosis {
  std::vector<FactorCondition> factors;  ///< trainable ones
  std::vector<SiteSpectrum> sites = {};
  std::vector<SiteRedundancy> groups = {};
};

/// What the values of a trained adapter tell. Updates are formed a few at a time: memory stays
/// below 1 GiB beyond the largest two of them. Throws Error where the method is no update of
/// weights.
Diagnosis diagnose(const LoneAdapter& source);

}  // namespace rankfold
