#pragma once
// Sliding windows over a stream of pixels: where they lie, which pixels no window needs, and the
// buffer of one window's extent that they are read from. Parameters as in window.hpp.

#include "ap_int.h"

// Pixels from a window's first to its last, along one axis.
constexpr int span_of(int kernel, int dilation) { return (kernel - 1) * dilation + 1; }

// Windows along one axis.
constexpr int positions_of(int size, int span, int stride) { return (size - span) / stride + 1; }

// A step between places of a ring as an addition of 0 to length - 1.
constexpr int ahead(int step, int length) { return (step % length + length) % length; }

// Says of each word of an image whether any window needs its pixel: crop.sv.
template <int Height, int Width, int Beats, int SpanH, int SpanW, int StrideH, int StrideW>
struct crop {
  int beat = 0;
  int column = 0;
  int row = 0;
  int phase_w = 0;  // column and row modulo the stride
  int phase_h = 0;

  // Of the next word, which moves.
  bool keep() {
#pragma HLS INLINE
    constexpr int UsedHeight = (Height - SpanH) / StrideH * StrideH + SpanH;
    constexpr int UsedWidth = (Width - SpanW) / StrideW * StrideW + SpanW;
    const bool kept = column < UsedWidth && phase_w < SpanW && row < UsedHeight && phase_h < SpanH;
    const bool pixel_last = beat == Beats - 1;
    const bool row_last = pixel_last && column == Width - 1;
    const bool frame_last = row_last && row == Height - 1;
    beat = pixel_last ? 0 : beat + 1;
    if (pixel_last) {
      phase_w = (row_last || phase_w == StrideW - 1) ? 0 : phase_w + 1;
      column = row_last ? 0 : column + 1;
    }
    if (row_last) {
      phase_h = (frame_last || phase_h == StrideH - 1) ? 0 : phase_h + 1;
      row = frame_last ? 0 : row + 1;
    }
    return kept;
  }
};

// A ring of one window's extent. Words are put in until it is full, then one window is got, then
// the words before the next window's first are forgotten.
template <int Height, int Width, int Channels, int Lanes, int Bits, int KernelH, int KernelW,
          int StrideH, int StrideW, int DilationH, int DilationW, int Groups>
struct sliding {
  enum : int {
    Beats = Channels / Lanes,  // words per pixel
    GroupBeats = Beats / Groups,
    SpanH = span_of(KernelH, DilationH),
    SpanW = span_of(KernelW, DilationW),
    OutHeight = positions_of(Height, SpanH, StrideH),
    OutWidth = positions_of(Width, SpanW, StrideW),
    InWords = Height * Width * Beats,  // per frame
    OutWords = OutHeight * OutWidth * KernelH * KernelW * Beats,
    KeptStrideH = StrideH < SpanH ? StrideH : SpanH,
    KeptStrideW = StrideW < SpanW ? StrideW : SpanW,
    KeptWidth = (OutWidth - 1) * KeptStrideW + SpanW,
    Extent = ((SpanH - 1) * KeptWidth + SpanW) * Beats,
    // how far the address moves: within a window, and from its first word to the next one's
    TapStep = DilationW * Beats - (GroupBeats - 1),
    TapRowStep = (DilationH * KeptWidth - (KernelW - 1) * DilationW) * Beats - (GroupBeats - 1),
    GroupStep = 1 - (Extent - Beats),
    ColumnStride = KeptStrideW * Beats,
    RowStride = (KeptStrideH * KeptWidth - (OutWidth - 1) * KeptStrideW) * Beats,
    ColumnStep = ColumnStride - (Extent - 1),
    RowStep = RowStride - (Extent - 1)
  };

  ap_uint<Lanes * Bits> words[Extent];
  crop<Height, Width, Beats, SpanH, SpanW, StrideH, StrideW> cropped;
  int write_at = 0;
  int read_at = 0;
  int held = 0;  // words from the window's first to the newest
  int beat = 0;
  int tap_w = 0;
  int tap_h = 0;
  int group = 0;
  int column = 0;
  int row = 0;

  // Whether a window's word is to be got, or else a word of the image to be put.
  bool full() const {
#pragma HLS INLINE
    return held == Extent;
  }

  void put(const ap_uint<Lanes * Bits>& word) {
#pragma HLS INLINE
    if (cropped.keep()) {
      words[write_at] = word;
      write_at = write_at == Extent - 1 ? 0 : write_at + 1;
      ++held;
    }
  }

  ap_uint<Lanes * Bits> get() {
#pragma HLS INLINE
    const ap_uint<Lanes * Bits> word = words[read_at];
    const bool beat_last = beat == GroupBeats - 1;
    const bool tap_w_last = beat_last && tap_w == KernelW - 1;
    const bool tap_h_last = tap_w_last && tap_h == KernelH - 1;
    const bool group_last = tap_h_last && group == Groups - 1;
    const bool column_last = group_last && column == OutWidth - 1;
    const bool row_last = column_last && row == OutHeight - 1;
    const int step = row_last      ? ahead(1, Extent)
                     : column_last ? ahead(RowStep, Extent)
                     : group_last  ? ahead(ColumnStep, Extent)
                     : tap_h_last  ? ahead(GroupStep, Extent)
                     : tap_w_last  ? ahead(TapRowStep, Extent)
                     : beat_last   ? ahead(TapStep, Extent)
                                   : ahead(1, Extent);
    if (group_last) {  // the next frame begins behind the last window's last pixel
      held -= row_last ? int(Extent) : column_last ? int(RowStride) : int(ColumnStride);
    }
    const int moved = read_at + step;
    read_at = moved >= Extent ? moved - Extent : moved;
    beat = beat_last ? 0 : beat + 1;
    if (beat_last) {
      tap_w = tap_w_last ? 0 : tap_w + 1;
    }
    if (tap_w_last) {
      tap_h = tap_h_last ? 0 : tap_h + 1;
    }
    if (tap_h_last) {
      group = group_last ? 0 : group + 1;
    }
    if (group_last) {
      column = column_last ? 0 : column + 1;
    }
    if (column_last) {
      row = row_last ? 0 : row + 1;
    }
    return word;
  }
};
