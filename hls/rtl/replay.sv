// Replay buffer: every vector of Length words leaves Repeats times.
//
// Reference    flow/ops/matvec.py: each row fold of the product reads the whole vector again
// Latency      1 cycle; the first repeat streams through while it is stored
// Throughput   1 word out per cycle, Length * Repeats cycles per vector, no gap between vectors
// Stall        ready_o is 1 only in the first repeat, and only while the output can move
//
// It cannot load the next vector during the last repeat: a stored word is written and read through
// one port.
module replay #(
  parameter int Length  = 4,  // words per vector
  parameter int Repeats = 2,  // times each vector leaves
  parameter int Bits    = 8   // per word
) (
  input  logic            clk_i,
  input  logic            rst_ni,  // synchronous, active low
  // one vector
  input  logic            valid_i,
  output logic            ready_o,
  input  logic [Bits-1:0] data_i,
  // the vector, Repeats times
  output logic            valid_o,
  input  logic            ready_i,
  output logic [Bits-1:0] data_o
);

  localparam int WordBits   = (Length > 1) ? $clog2(Length) : 1;
  localparam int RepeatBits = (Repeats > 1) ? $clog2(Repeats) : 1;

  initial if (Length < 1 || Repeats < 1) begin
    $fatal(1, "%m: Length=%0d and Repeats=%0d must be positive", Length, Repeats);
  end

  logic                  valid_q;
  logic [Bits-1:0]       data_q;
  logic [WordBits-1:0]   word_q;
  logic [RepeatBits-1:0] repeat_q;
  logic                  advance, first, step, word_last, repeat_last;

  assign advance     = !valid_q || ready_i;
  assign first       = repeat_q == '0;
  assign step        = advance && (valid_i || !first);
  assign word_last   = word_q == WordBits'(Length - 1);
  assign repeat_last = repeat_q == RepeatBits'(Repeats - 1);
  assign ready_o     = advance && first;
  assign valid_o     = valid_q;
  assign data_o      = data_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q  <= 1'b0;
      word_q   <= '0;
      repeat_q <= '0;
    end else begin
      if (advance) valid_q <= step;
      if (step) word_q <= word_last ? '0 : word_q + 1'b1;
      if (step && word_last) repeat_q <= repeat_last ? '0 : repeat_q + 1'b1;
    end
  end

  if (Repeats > 1) begin : gen_buffer
    logic [Bits-1:0] words [Length];

    always_ff @(posedge clk_i) begin
      if (step) begin
        if (first) begin
          words[word_q] <= data_i;
          data_q        <= data_i;
        end else begin
          data_q <= words[word_q];
        end
      end
    end
  end else begin : gen_register
    always_ff @(posedge clk_i) if (step) data_q <= data_i;
  end

endmodule
