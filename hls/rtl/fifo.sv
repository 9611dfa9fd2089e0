// First-in first-out buffer of any depth.
//
// Reference    a queue; sized by flow/schedule/buffers.py, confirmed by high_water_o
// Latency      1 cycle from an empty buffer
// Throughput   1 word in and 1 word out per cycle; every other cycle with Depth = 1
// Stall        ready_o is 0 while full, even in a cycle that takes a word; valid_o is 0 while empty
//
// The words are read without a clock: cheap for one vector of activations, not for block RAM.
module fifo #(
  parameter int Depth = 4,  // words
  parameter int Bits  = 8   // per word
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,  // synchronous, active low
  // in
  input  logic                         valid_i,
  output logic                         ready_o,
  input  logic [Bits-1:0]              data_i,
  // out
  output logic                         valid_o,
  input  logic                         ready_i,
  output logic [Bits-1:0]              data_o,
  // the most words held since reset
  output logic [$clog2(Depth+1)-1:0] high_water_o
);

  localparam int AddressBits = (Depth > 1) ? $clog2(Depth) : 1;
  localparam int CountBits   = $clog2(Depth + 1);

  initial if (Depth < 1) $fatal(1, "%m: Depth=%0d must be positive", Depth);

  logic [Bits-1:0]        words [Depth];
  logic [AddressBits-1:0] write_q, read_q;
  logic [CountBits-1:0]   count_d, count_q, high_water_q;
  logic                   push, pop, ready_q;

  assign push         = valid_i && ready_o;
  assign pop          = valid_o && ready_i;
  assign count_d      = count_q + CountBits'(push) - CountBits'(pop);
  assign ready_o      = ready_q;  // in a register: units in front of it pass it on unregistered
  assign valid_o      = count_q != '0;
  assign data_o       = words[read_q];
  assign high_water_o = high_water_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q      <= '0;
      read_q       <= '0;
      count_q      <= '0;
      ready_q      <= 1'b1;
      high_water_q <= '0;
    end else begin
      if (push) write_q <= (write_q == AddressBits'(Depth - 1)) ? '0 : write_q + 1'b1;
      if (pop)  read_q  <= (read_q == AddressBits'(Depth - 1)) ? '0 : read_q + 1'b1;
      if (count_d > high_water_q) high_water_q <= count_d;
      count_q <= count_d;
      ready_q <= pop || !(count_q == CountBits'(Depth)
                          || (push && count_q == CountBits'(Depth - 1)));
    end
  end

  always_ff @(posedge clk_i) if (push) words[write_q] <= data_i;

endmodule
