#include "cli/output/table.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace orlop::cli {
namespace {

constexpr std::size_t gap = 2;

struct Shown {
  std::size_t index;  ///< among the columns
  std::size_t width;
};

std::size_t width_of(const std::vector<Shown>& shown) {
  const std::size_t cells = std::transform_reduce(shown.begin(), shown.end(), std::size_t{0}, std::plus{},
                                                  [](const Shown& one) { return one.width; });
  return cells + (shown.empty() ? 0 : gap * (shown.size() - 1));
}

// Takes columns away until what is left can be cut down to `limit`.
void let_leave(std::vector<Shown>& shown, const std::vector<Column>& columns, std::size_t limit) {
  const auto least = [&] {
    std::vector<Shown> cut = shown;
    for (Shown& one : cut)
      if (columns[one.index].shrinks_to > 0)
        one.width = std::min<std::size_t>(one.width, columns[one.index].shrinks_to);
    return width_of(cut);
  };
  while (least() > limit) {
    const auto goes = std::ranges::max_element(shown, {}, [&](const Shown& one) { return columns[one.index].leaves; });
    if (goes == shown.end() || columns[goes->index].leaves == 0) return;
    shown.erase(goes);
  }
}

void shrink(std::vector<Shown>& shown, const std::vector<Column>& columns, std::size_t limit) {
  for (auto one = shown.rbegin(); one != shown.rend(); ++one) {
    const std::size_t whole = width_of(shown);
    const std::size_t least = columns[one->index].shrinks_to;
    if (whole <= limit) return;
    if (least > 0 && one->width > least) one->width = std::max(least, one->width - std::min(one->width, whole - limit));
  }
}

}  // namespace

std::string table_text(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows,
                       const Terminal& terminal) {
  std::vector<std::vector<Cell>> lines(1);
  for (const Column& column : columns) lines.front().push_back({column.heading, Colour::faint});
  lines.insert(lines.end(), rows.begin(), rows.end());
  for (std::vector<Cell>& line : lines)
    for (Cell& cell : line) cell.text = escape_line(cell.text);

  std::vector<Shown> shown;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t width = 0;
    for (const std::vector<Cell>& line : lines) width = std::max(width, columns_of(line.at(i).text));
    shown.push_back({i, width});
  }
  if (terminal.columns) {
    let_leave(shown, columns, *terminal.columns);
    shrink(shown, columns, *terminal.columns);
  }

  std::string text;
  for (const std::vector<Cell>& line : lines) {
    std::string before;  // spaces that are due before the next cell, so that none trail
    for (const Shown& one : shown) {
      const Cell& cell = line.at(one.index);
      const std::string words = cut(cell.text, std::max<std::size_t>(one.width, 1));
      const std::string fill(one.width - std::min(one.width, columns_of(words)), ' ');
      const bool right = columns[one.index].right;
      if (right) before += fill;
      if (!words.empty()) text += std::exchange(before, {}) + terminal.paint(words, cell.colour);
      before += (right ? std::string() : fill) + std::string(gap, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace orlop::cli
