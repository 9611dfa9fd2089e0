#pragma once
// Margins of one value around an image.
//
// Reference    flow/ops/pad.py, bit-exact
// Throughput   1 word out per cycle: (Height + Top + Bottom) * (Width + Left + Right) * Beats
//              cycles per frame
// Stall        input is read inside the image only

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

template <int Height, int Width, int Channels, int Lanes, int Bits, int Top, int Bottom, int Left,
          int Right, int Value>
void pad(hls::stream<ap_uint<Lanes * Bits>>& in, hls::stream<ap_uint<Lanes * Bits>>& out,
         int vectors) {
  static_assert(0 < Lanes && Channels % Lanes == 0, "Lanes must divide Channels");
  constexpr int Beats = Channels / Lanes;
  constexpr int OutHeight = Height + Top + Bottom;
  constexpr int OutWidth = Width + Left + Right;
  constexpr int OutWords = OutHeight * OutWidth * Beats;

  ap_uint<Lanes * Bits> margin = 0;
  for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
    margin.range(lane * Bits + Bits - 1, lane * Bits) = ap_uint<Bits>(Value);
  }
  int beat = 0;
  int column = 0;
  int row = 0;
words:
  for (long long word = 0; word < static_cast<long long>(vectors) * OutWords; ++word) {
#pragma HLS PIPELINE II=1
    const bool image =
        Top <= row && row < Top + Height && Left <= column && column < Left + Width;
    out.write(image ? in.read() : margin);
    const bool pixel_last = beat == Beats - 1;
    const bool row_last = pixel_last && column == OutWidth - 1;
    beat = pixel_last ? 0 : beat + 1;
    if (pixel_last) {
      column = row_last ? 0 : column + 1;
    }
    if (row_last) {
      row = row == OutHeight - 1 ? 0 : row + 1;
    }
  }
}
