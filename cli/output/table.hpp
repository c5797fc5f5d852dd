// Tables for people: aligned columns under a heading that still fit a narrow terminal.
#pragma once

#include <string>
#include <vector>

#include "cli/output/terminal.hpp"

namespace orlop::cli {

struct Column {
  std::string heading;
  bool right = false;       ///< numbers stand right
  unsigned shrinks_to = 0;  ///< columns that it may be cut to; 0: never cut
  unsigned leaves = 0;      ///< of the columns that must go, the highest goes first; 0: stays
};

struct Cell {
  std::string text;  ///< not yet escaped
  Colour colour = Colour::none;
};

/// The table as text. Without a known width nothing is cut. Else what may shrink does, from the right, and what still
/// does not fit leaves in the order of Column::leaves. Every row has as many cells as there are columns.
std::string table_text(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows,
                       const Terminal& terminal);

}  // namespace orlop::cli
