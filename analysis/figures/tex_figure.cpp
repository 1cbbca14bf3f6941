#include "analysis/figures/tex_figure.h"

#include <algorithm>
#include <map>

#include <fmt/core.h>

#include "analysis/figures/figure_fonts.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

const std::map<std::string_view, std::string_view>& signs() {
  static const std::map<std::string_view, std::string_view> table = {{"\\", "\\textbackslash{}"},
                                                                     {"{", "\\{"},
                                                                     {"}", "\\}"},
                                                                     {"$", "\\$"},
                                                                     {"&", "\\&"},
                                                                     {"#", "\\#"},
                                                                     {"%", "\\%"},
                                                                     {"_", "\\_"},
                                                                     {"^", "\\textasciicircum{}"},
                                                                     {"~", "\\textasciitilde{}"},
                                                                     {"<", "$<$"},
                                                                     {">", "$>$"},
                                                                     {"|", "$|$"},
                                                                     {"\"", "''"},
                                                                     {"`", "'"},
                                                                     {"\u2193", "$\\downarrow$"},
                                                                     {"\u2191", "$\\uparrow$"},
                                                                     {"\u2265", "$\\geq$"},
                                                                     {"\u00b5", "$\\mu$"},
                                                                     {"\u00b7", "$\\cdot$"},
                                                                     {"\u2013", "--"},
                                                                     {"\u2014", "---"},
                                                                     {"\u2018", "`"},
                                                                     {"\u2019", "'"},
                                                                     {"\u201c", "``"},
                                                                     {"\u201d", "''"},
                                                                     {"\u00d7", "$\\times$"},
                                                                     {"\u00b1", "$\\pm$"},
                                                                     {"\u2264", "$\\leq$"},
                                                                     {"\u2212", "$-$"},
                                                                     {"\u2026", "\\ldots{}"},
                                                                     {"\u207b", "$^{-}$"},
                                                                     {"\u2070", "$^{0}$"},
                                                                     {"\u00b9", "$^{1}$"},
                                                                     {"\u00b2", "$^{2}$"},
                                                                     {"\u00b3", "$^{3}$"},
                                                                     {"\u2074", "$^{4}$"},
                                                                     {"\u2075", "$^{5}$"},
                                                                     {"\u2076", "$^{6}$"},
                                                                     {"\u2077", "$^{7}$"},
                                                                     {"\u2078", "$^{8}$"},
                                                                     {"\u2079", "$^{9}$"}};
  return table;
}

/// The Greek letters that TeX's mathematics has a name for, from alpha on; those that look like
/// Latin ones are those.
std::string greek(char32_t c) {
  static const std::vector<std::string_view> lower = {
      "alpha", "beta",   "gamma",   "delta", "varepsilon", "zeta",    "eta",  "theta", "iota",
      "kappa", "lambda", "mu",      "nu",    "xi",         "omicron", "pi",   "rho",   "varsigma",
      "sigma", "tau",    "upsilon", "phi",   "chi",        "psi",     "omega"};
  static const std::map<char32_t, std::string_view> upper = {
      {0x393, "Gamma"}, {0x394, "Delta"}, {0x398, "Theta"}, {0x39b, "Lambda"},
      {0x39e, "Xi"},    {0x3a0, "Pi"},    {0x3a3, "Sigma"}, {0x3a5, "Upsilon"},
      {0x3a6, "Phi"},   {0x3a8, "Psi"},   {0x3a9, "Omega"}};
  if (c == 0x3bf) return "$o$";
  if (c >= 0x3b1 && c < 0x3b1 + lower.size()) return fmt::format("$\\{}$", lower[c - 0x3b1]);
  const auto found = upper.find(c);
  return found == upper.end() ? "" : fmt::format("$\\{}$", found->second);
}

/// What the commands of the terminal mean (those that its pictures use), local to a group.
constexpr std::string_view prelude =
    "\\def\\gpcolor#1{\\tikzset{global #1}}%\n"
    "\\def\\gpsetlinewidth#1{\\pgfsetlinewidth{#1*0.4pt}}%\n"
    "\\def\\gpsetlinetype#1{\\tikzset{gp path/.style={#1}}}%\n"
    "\\def\\gpsetdashtype#1{\\tikzset{gp path/.style={#1}}}%\n"
    "\\def\\gpsetpointsize#1{\\tikzset{gp point/.style={mark size=#1*0.4pt}}}%\n"
    "\\def\\gpfill#1{\\path[line width=0.04pt,draw,fill,#1]}%\n"
    "\\def\\gppoint#1#2{\\path[solid] plot[only marks,gp point,#1] coordinates {#2};}%\n"
    "\\def\\gp3point#1#2#3{\\path[solid#2] plot[only marks,gp point,#1] coordinates {#3};}%\n"
    "\\def\\gpdefrectangularnode#1#2#3{}%\n"
    "\\def\\gpdashlength{\\pgflinewidth}%\n"
    "\\colorlet{gp lt color border}{black}\\colorlet{gp lt color axes}{black!30}%\n"
    "\\colorlet{gpbgfillcolor}{white}%\n"
    "\\tikzset{rgb color/.code={\\definecolor{.}{rgb}{#1}\\tikzset{color=.}},\n"
    "  global rgb color/.code={\\definecolor{.}{rgb}{#1}\\color{.}},\n"
    "  global color/.code={\\color{#1}}, gnuplot/.style={line cap=round,line join=round},\n"
    "  gp lt border/.style={}, gp lt axes/.style={}, gp lt plot 0/.style={},\n"
    "  gp dt 1/.style={solid}, gp dt solid/.style={solid},\n"
    "  gp node left/.style={anchor=mid west,yshift=-.12ex},\n"
    "  gp node center/.style={anchor=mid,yshift=-.12ex},\n"
    "  gp node right/.style={anchor=mid east,yshift=-.12ex},\n"
    "  gp mark 1/.style={mark=+}, gp mark 2/.style={mark=x}, gp mark 4/.style={mark=square},\n"
    "  gp mark 5/.style={mark=square*},\n"
    "  gp mark 6/.style={mark=o}, gp mark 7/.style={mark=*}, gp mark 8/.style={mark=triangle},\n"
    "  gp mark 9/.style={mark=triangle*},\n"
    "  gp mark 10/.style={mark=triangle,every mark/.append style={rotate=180}},\n"
    "  gp mark 11/.style={mark=triangle*,every mark/.append style={rotate=180}},\n"
    "  gp mark 12/.style={mark=diamond}, gp mark 13/.style={mark=diamond*},\n"
    "  gp mark 14/.style={mark=pentagon}, gp mark 15/.style={mark=pentagon*}}%\n";

}  // namespace

std::string tex_text(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = 1;
    while (at + size < text.size() &&
           (static_cast<unsigned char>(text[at + size]) & 0xc0u) == 0x80u)
      ++size;
    const std::string_view character = text.substr(at, size);
    const auto found = signs().find(character);
    const std::string letter = greek(code_points(character)[0]);
    if (found != signs().end())
      result += found->second;
    else
      result += letter.empty() ? character : letter;
    at += size;
  }
  return result;
}

void expect_tex_letters(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    for (const char32_t c : code_points(text)) {
      if (c < 0x180) continue;
      const bool is_sign = std::ranges::any_of(
          signs(), [&](const auto& sign) { return code_points(sign.first)[0] == c; });
      if (is_sign || !greek(c).empty()) continue;
      throw Error(
          "'{}': the fonts of a TeX figure lack U+{:04X}: draw .pdf or .svg, or give it a name of "
          "Latin letters",
          printable(text, 120), static_cast<std::uint32_t>(c));
    }
  }
}

std::string finish_tex_figure(const std::string& picture) {
  std::string result =
      "% Needs \\usepackage{tikz} and \\usetikzlibrary{plotmarks}; drawn by rankfold with "
      "gnuplot.\n"
      "\\begingroup\n";
  result += prelude;
  for (const std::string& line : split(picture, '\n')) {
    // The terminal's comments name its version and the date.
    if (!line.starts_with("%%") && !trim(line).empty()) result += line + "\n";
  }
  return result + "\\endgroup\n";
}

}  // namespace rankfold
