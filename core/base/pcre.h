#pragma once

// PCRE2 as the sources behind patterns use it; for them alone.

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <memory>
#include <string>
#include <string_view>

namespace rankfold {

template <class Thing, void (*release)(Thing*)>
struct PcreRelease {
  void operator()(Thing* thing) const { release(thing); }
};
template <class Thing, void (*release)(Thing*)>
using PcreOwned = std::unique_ptr<Thing, PcreRelease<Thing, release>>;
using PcreCode = PcreOwned<pcre2_code, pcre2_code_free>;

/// What an error code of PCRE2 means.
std::string pcre_reason(int code);

/// An expression over UTF-8 with Unicode's classes, in which lines end with \n and \C is no part;
/// null where PCRE2 cannot read it: then `code` says why.
PcreCode compile_pcre(std::string_view expression, int& code);

}  // namespace rankfold
